"""The bundle that a clinic is served."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from derma_assets.promotion.gate import Judged
from derma_assets.promotion.promote import attempt
from derma_assets.settings import settings
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_folder, fingerprint_json, fingerprint_table
from derma_assets.storage.paths import promoted_path
from derma_assets.ui_metadata import note, table_preview


@stage_asset("browser", kinds={"javascript"}, io_manager_key="document", code_version="1", reuse=False)
def released_bundle(
    tfjs_bundle: Path,
    predictions: pd.DataFrame,
    calibrated_temperature: dict[str, Any],
    operating_points: dict[str, Any],
) -> dg.MaterializeResult:
    """Which bundle is served: the new one if it passed in a browser and is no worse than the one served before.

    Read `against` for what kept a new bundle from being served, and `comparison` for both models on the test lesions
    that both were tested on: a figure stops it that is worse by more than its margin, or surely worse. The served
    folder is `current/bundle`; `make rollback` goes back to the one before. The last five are kept.
    """
    chosen = settings()
    came = attempt(
        tfjs_bundle,
        Judged(predictions, calibrated_temperature["temperature"], operating_points),
        promoted_path(chosen.root, chosen.dataset),
        rule=chosen.promote,
        document={
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "dataset": chosen.dataset,
            "predictions": fingerprint_table(predictions),
        },
        resamples=chosen.bootstrap_resamples,
        seed=chosen.seed,
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
            **{f"{name}_gain": float(value) for name, value in figures.items()},
            "comparison": "nothing was served before, or the same" if came.comparison is None
            else table_preview(came.comparison, rows=len(came.comparison)),
            "folder": dg.MetadataValue.path(str(promoted_path(chosen.root, chosen.dataset))),
            "note": note(),
        },
    )  # fmt: skip
