"""Assets of the stage `evaluation` that ask whether the model does as well for one group as for another."""

from typing import Any

import dagster as dg
import pandas as pd

from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.evaluation.figures import gaps_figure, subgroup_figure
from derma_assets.evaluation.report import gaps_markdown, subgroups_markdown
from derma_assets.evaluation.subgroup_gaps import subgroup_gaps as gaps_between
from derma_assets.evaluation.subgroups import subgroup_table, subgroups_of
from derma_assets.settings import settings
from derma_assets.splits.grouped_splits import TEST
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets.ui_metadata import figure, note


@stage_asset(
    "evaluation",
    kinds={"numpy"},
    io_manager_key="table",
    code_version="2",
    reads_settings=["bootstrap_resamples", "seed"],
)
def subgroup_metrics(
    predictions: pd.DataFrame,
    calibrated_temperature: dict[str, Any],
    operating_points: dict[str, Any],
    raw_metadata: pd.DataFrame,
    skin_tone: pd.DataFrame,
) -> dg.MaterializeResult:
    """How the model does on test by sex, age, place on the body, confirmation, and estimated skin tone.

    With 95 % intervals over lesions, and the difference to all pictures; places with fewer than ten lesions are joined
    as `other`, tones at the ends of the scale with their neighbour. Look for a group whose interval lies below the
    others'. Diagnoses are mixed differently in each group, which alone makes accuracy differ: what was followed up is
    nearly always a nevus. Skin tone is estimated from the picture's colours and is as much a property of lamp and
    camera as of the patient (see `skin_tone`): no difference found here does not mean that there is none on dark skin,
    which HAM10000 does not have. An empty value means that there was nothing to measure it on.
    """
    chosen = settings()
    on_test = predictions[predictions["split"] == TEST]
    table = subgroup_table(
        labelled_logits(predictions, TEST),
        subgroups_of(on_test, raw_metadata, skin_tone),
        calibrated_temperature["temperature"],
        operating_points,
        chosen.bootstrap_resamples,
        chosen.seed,
    )
    return dg.MaterializeResult(
        value=table,
        metadata={
            "groups": len(table.drop_duplicates(["attribute", "group"])),
            "lowest_accuracy": float(table.loc[table["metric"] == "accuracy", "value"].min()),
            "figure": figure(subgroup_figure(table)),
            "table": dg.MetadataValue.md(subgroups_markdown(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )


@stage_asset(
    "evaluation",
    kinds={"fairlearn", "numpy"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["bootstrap_resamples", "seed"],
)
def subgroup_gaps(
    predictions: pd.DataFrame,
    calibrated_temperature: dict[str, Any],
    operating_points: dict[str, Any],
    raw_metadata: pd.DataFrame,
    skin_tone: pd.DataFrame,
) -> dg.MaterializeResult:
    """For each metric and attribute the best and the worst group on test, and how far apart they are.

    Over groups with at least ten lesions to measure on. The two groups are the extremes of several, so some gap is
    there by chance alone, the larger the more groups and the fewer lesions: an interval that reaches 0 shows no gap,
    and one that does not is a reason to look closer, not proof. `too few lesions` means that nothing can be said, not
    that all is well. A calibration error is larger in a smaller group by itself, and accuracy and specificity follow
    the mix of diagnoses.
    """
    chosen = settings()
    on_test = predictions[predictions["split"] == TEST]
    table = gaps_between(
        labelled_logits(predictions, TEST),
        subgroups_of(on_test, raw_metadata, skin_tone),
        calibrated_temperature["temperature"],
        operating_points,
        chosen.bootstrap_resamples,
        chosen.seed,
    )
    return dg.MaterializeResult(
        value=table,
        metadata={
            "compared": int((table["groups"] > 1).sum()),
            "with_too_few_lesions": int((table["groups"] < 2).sum()),
            "figure": figure(gaps_figure(table)),
            "table": dg.MetadataValue.md(gaps_markdown(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )
