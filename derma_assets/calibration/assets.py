"""Assets of the stage `calibration`. Everything here is chosen on validation; test is not looked at."""

from typing import Any

import dagster as dg
import pandas as pd

from derma_assets.calibration.figures import likelihood_figure, reliability_figure, roc_figure
from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.calibration.summary import choose_operating_points, reliability_table, scored, temperature_document
from derma_assets.settings import settings
from derma_assets.splits.grouped_splits import VALIDATION
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_json
from derma_assets.ui_metadata import figure, note, table_preview


@stage_asset("calibration", kinds={"scipy"}, io_manager_key="document", code_version="1")
def calibrated_temperature(predictions: pd.DataFrame) -> dg.MaterializeResult:
    """The number that the logits are divided by, so that 80 % confidence means right in 80 % of cases.

    Fitted on validation by minimising the negative log-likelihood (Guo et al., 2017). Above 1 the model was
    overconfident, below 1 underconfident. It changes no prediction, only how sure the app says it is. Read the
    reliability diagram: the closer the bars are to the diagonal, the more the shown percentages can be believed.
    """
    validation = labelled_logits(predictions, VALIDATION)
    document = temperature_document(validation)
    bins = reliability_table(validation, document["temperature"])
    return dg.MaterializeResult(
        value=document,
        metadata={
            **document,
            "likelihood": figure(likelihood_figure(validation.logits, validation.labels, document["temperature"])),
            "reliability_on_validation": figure(reliability_figure(bins)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_json(document)),
    )


@stage_asset(
    "calibration",
    kinds={"numpy"},
    io_manager_key="document",
    code_version="1",
    reads_settings=["melanoma_specificity", "referral_sensitivity"],
)
def operating_points(predictions: pd.DataFrame, calibrated_temperature: dict[str, Any]) -> dg.MaterializeResult:
    """The thresholds that the app calls by: melanoma at a set specificity, referral at a set sensitivity.

    A picture is called when its calibrated score is at or above the threshold. The score of melanoma is its
    probability, that of referral the summed probability of the malignant diagnoses. Sensitivity, specificity, PPV and
    the share of pictures referred are those on validation, where the thresholds were chosen, so they flatter;
    `overall_metrics` has them on test, with intervals.
    """
    chosen = settings()
    temperature = calibrated_temperature["temperature"]
    validation = labelled_logits(predictions, VALIDATION)
    points = choose_operating_points(validation, temperature, chosen.melanoma_specificity, chosen.referral_sensitivity)
    document = {name: point.document() for name, point in points.items()}
    table = pd.DataFrame(document).rename_axis("validation").reset_index()
    curves = {name: (*scored(validation, temperature, name), point) for name, point in points.items()}
    return dg.MaterializeResult(
        value=document,
        metadata={
            **{f"{name}_threshold": point.threshold for name, point in points.items()},
            **{f"{name}_sensitivity": point.sensitivity for name, point in points.items()},
            **{f"{name}_specificity": point.specificity for name, point in points.items()},
            "points": table_preview(table, rows=len(table)),
            "roc": figure(roc_figure(curves)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_json(document)),
    )
