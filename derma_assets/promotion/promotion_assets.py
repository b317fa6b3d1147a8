"""The bundle that a clinic is served."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from derma_assets.automation.check_verdicts import speaking_against
from derma_assets.promotion.gate import MARGINS, Judged
from derma_assets.promotion.promote import attempt
from derma_assets.settings import settings
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_folder, fingerprint_json, fingerprint_table
from derma_assets.ui_metadata import note, table_preview

# Every blocking check of the graph, whichever run has checked: what has not passed is not served. Of browser_parity the
# record beside the bundle is asked, as there a mere warning will not do.
BLOCKING = (
    ("raw_images", "every_picture_readable"),
    ("grouped_splits", "no_lesion_on_two_sides"),
    ("grouped_splits", "class_shares_within_tolerance"),
    ("grouped_splits", "every_class_on_every_side"),
    ("predictions", "logits_are_finite"),
    ("operating_points", "operating_points_meet_targets"),
    ("tfjs_bundle", "download_size"),
)


@stage_asset("browser", kinds={"javascript"}, io_manager_key="document", code_version="2", reuse=False)
def released_bundle(
    context: dg.AssetExecutionContext,
    tfjs_bundle: Path,
    predictions: pd.DataFrame,
    calibrated_temperature: dict[str, Any],
    operating_points: dict[str, Any],
) -> dg.MaterializeResult:
    """Which bundle is served: the new one if it passed every blocking check and is no worse than the one before.

    Read `against` for what kept a new bundle from being served, and `comparison` for both models on the test lesions
    that both were tested on: a figure stops it that is worse by more than its margin, or surely worse. The served
    folder is `current/bundle`; `make rollback` goes back to the one before. The last five are kept.
    """
    chosen = settings()
    unpassed = speaking_against(context.instance, chosen.store, BLOCKING)
    came = attempt(
        tfjs_bundle,
        Judged(predictions, calibrated_temperature["temperature"], operating_points),
        chosen.served,
        rule=chosen.promote,
        document={
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "dataset": chosen.dataset,
            "predictions": fingerprint_table(predictions),
        },
        resamples=chosen.bootstrap_resamples,
        seed=chosen.seed,
        margins={
            **MARGINS,
            "melanoma_sensitivity": chosen.sensitivity_margin,
            "referral_sensitivity": chosen.sensitivity_margin,
            "ece": chosen.ece_margin,
        },
        unpassed=unpassed,
        anew=chosen.force,
    )
    document = {
        "served": None if came.served is None else came.served.number,
        "served_bundle": None if came.served is None else came.served.document["bundle"],
        "new_bundle": fingerprint_folder(tfjs_bundle),
        "promoted": came.promoted,
        "against": came.against,
    }
    figures = {} if came.comparison is None else came.comparison.set_index("figure")["gain"].to_dict()
    return dg.MaterializeResult(
        value=document,
        data_version=dg.DataVersion(fingerprint_json({"served": document["served_bundle"]})),
        metadata={
            "promoted": came.promoted,
            "served": document["served"] or 0,
            "against": "; ".join(came.against) or "nothing",
            "reasons_against": len(came.against),
            "checks_not_passed": len(unpassed),
            **{f"{name}_gain": float(value) for name, value in figures.items()},
            "comparison": came.uncompared if came.comparison is None
            else table_preview(came.comparison, rows=len(came.comparison)),
            "folder": dg.MetadataValue.path(str(chosen.served)),
            "note": note(),
        },
    )  # fmt: skip
