"""How many flips and turns are worth averaging, and the temperature and thresholds that belong to each number.

The more views are averaged, the less extreme the logits are and the oftener they are right: each number of views has a
temperature and thresholds of its own.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from derma_assets.calibration.labelled_logits import LabelledLogits, labelled_logits
from derma_assets.calibration.summary import choose_operating_points, scored, temperature_document
from derma_assets.splits.grouped_splits import VALIDATION

# In validation accuracy or melanoma ROC-AUC: a gain smaller than this is two pictures of a thousand.
LEAST_GAIN = 0.002


@dataclass(frozen=True)
class ViewCalibration:
    """What was found on validation for one number of views.

    Attributes:
        count: How many views are averaged.
        document: `count`, `temperature`, and `operating_points` by name, as JSON can hold them.
        accuracy: Share of pictures whose most probable diagnosis is right.
        melanoma_roc_auc: Of the calibrated probability of melanoma.
    """

    count: int
    document: dict[str, Any]
    accuracy: float
    melanoma_roc_auc: float


def of_views(predictions: pd.DataFrame, count: int, side: str) -> LabelledLogits:
    """Return the logits averaged over `count` views on one side, out of the table `view_predictions`."""
    return labelled_logits(predictions[predictions["views"] == count], side)


def calibrate_views(
    predictions: pd.DataFrame, melanoma_specificity: float, referral_sensitivity: float
) -> list[ViewCalibration]:
    """Calibrate every number of views in the table, rising.

    Args:
        predictions: As the asset `view_predictions` has them.
        melanoma_specificity: At which the threshold of melanoma is set.
        referral_sensitivity: At which that of referral is set.
    """
    from sklearn.metrics import roc_auc_score

    found = []
    for count in sorted(predictions["views"].unique().tolist()):
        validation = of_views(predictions, count, VALIDATION)
        temperature = temperature_document(validation)["temperature"]
        points = choose_operating_points(validation, temperature, melanoma_specificity, referral_sensitivity)
        score, melanoma = scored(validation, temperature, "melanoma")
        found.append(
            ViewCalibration(
                count=count,
                document={
                    "count": count,
                    "temperature": temperature,
                    "operating_points": {name: point.document() for name, point in points.items()},
                },
                accuracy=float((validation.logits.argmax(axis=1) == validation.labels).mean()),
                melanoma_roc_auc=float(roc_auc_score(melanoma, score)),
            )
        )
    return found


def worth_their_time(calibrations: list[ViewCalibration]) -> list[ViewCalibration]:
    """Return the first, and each one that gains enough over the last one kept and loses nothing.

    Gains and losses are in validation accuracy and melanoma ROC-AUC, one of which must gain at least `LEAST_GAIN`: more
    views take more time on a slow phone.

    Args:
        calibrations: Rising by `count`, at least one.
    """
    kept = calibrations[:1]
    for candidate in calibrations[1:]:
        gains = (candidate.accuracy - kept[-1].accuracy, candidate.melanoma_roc_auc - kept[-1].melanoma_roc_auc)
        if min(gains) >= 0 and max(gains) >= LEAST_GAIN:
            kept.append(candidate)
    return kept


def views_document(calibrations: list[ViewCalibration]) -> dict[str, Any]:
    """Return what the page needs, and what it was chosen by.

    Args:
        calibrations: As `calibrate_views` returns them.

    Returns:
        `views`: `count`, `temperature` and `operating_points` of each number of views worth its time, the first of one
        view; `considered`: the same of every number, with `validation_accuracy`, `validation_melanoma_roc_auc` and
        whether it was `kept`.
    """
    kept = worth_their_time(calibrations)
    return {
        "views": [calibration.document for calibration in kept],
        "considered": [
            {
                **calibration.document,
                "validation_accuracy": calibration.accuracy,
                "validation_melanoma_roc_auc": calibration.melanoma_roc_auc,
                "kept": calibration in kept,
            }
            for calibration in calibrations
        ],
    }
