"""Checks of the stage `evaluation`."""

from pathlib import Path

import dagster as dg

from derma_assets.asset_checks import asset_check
from derma_assets.evaluation.data_quality import DataQuality
from derma_assets.evaluation.quality_assets import data_quality as data_quality_asset


@asset_check(asset=data_quality_asset)
def labels_and_lesions_look_right(data_quality: Path) -> dg.AssetCheckResult:
    """No label is probably wrong, and no lesion has two identifiers; a warning, as both are guesses to look up."""
    quality = DataQuality.read(data_quality)
    wrong = int(quality.pictures["label_error"].sum())
    across = int((~quality.pairs["same_lesion"]).sum())
    contradicted = int((~quality.pairs["same_lesion"] & quality.pairs["dx_a"].ne(quality.pairs["dx_b"])).sum())
    return dg.AssetCheckResult(
        passed=wrong == across == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{wrong} labels are probably wrong, of the {100 * quality.covered:.0f} % of the pictures judged; "
        f"{across} pairs of pictures show one lesion under two identifiers, {contradicted} of them with two diagnoses",
        metadata={
            "label_errors": wrong,
            "labels_judged": quality.covered,
            "pairs_across_lesions": across,
            "pairs_with_two_diagnoses": contradicted,
        },
    )
