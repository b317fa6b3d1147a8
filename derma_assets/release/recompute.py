"""The evaluation once more, from a table of logits alone, and where two such tables differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.calibration.summary import choose_operating_points, temperature_document
from derma_assets.calibration.views import calibrate_views, of_views, views_document
from derma_assets.evaluation import tables
from derma_assets.evaluation.class_calibration import class_calibration_table
from derma_assets.evaluation.decision_curve import decision_table
from derma_assets.evaluation.selective import selective_table
from derma_assets.evaluation.views import view_table
from derma_assets.splits.grouped_splits import TEST, VALIDATION

# Sums in another order, as another machine may take them, differ by far less; the documentation shows three decimals.
TOLERANCE = 1e-6
# The search for a temperature ends within a millionth of the best, on either side.
CALIBRATION_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Calibration:
    """The three documents of the stage `calibration`.

    Attributes:
        temperature: `calibrated_temperature`.
        points: `operating_points`.
        views: `view_calibration`.
    """

    temperature: Mapping[str, Any]
    points: Mapping[str, Any]
    views: Mapping[str, Any]

    def documents(self) -> dict[str, Mapping[str, Any]]:
        """Return them by the names of their assets."""
        return {
            "calibrated_temperature": self.temperature,
            "operating_points": self.points,
            "view_calibration": self.views,
        }


def recalibrated(predictions: pd.DataFrame, points: Mapping[str, Any]) -> Calibration:
    """Return the calibration that validation gives.

    Args:
        predictions: As the asset `view_predictions` has them.
        points: The operating points of one view, of which only the targets are read.
    """
    validation = of_views(predictions, 1, VALIDATION)
    targets = (points["melanoma"]["target"], points["referral"]["target"])
    temperature = temperature_document(validation)
    found = choose_operating_points(validation, temperature["temperature"], *targets)
    return Calibration(
        temperature,
        {name: point.document() for name, point in found.items()},
        views_document(calibrate_views(predictions, *targets)),
    )


def recomputed(
    predictions: pd.DataFrame, calibration: Calibration, resamples: int, seed: int, clinic_prevalence: float
) -> dict[str, pd.DataFrame]:
    """Return the tables on test that follow from the logits, by the names of their assets.

    Args:
        predictions: As the asset `view_predictions` has them.
        calibration: Temperatures and thresholds.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.
        clinic_prevalence: Share of malignant lesions that the decision curve weighs to.
    """
    validation, test = of_views(predictions, 1, VALIDATION), of_views(predictions, 1, TEST)
    temperature, points = calibration.temperature["temperature"], calibration.points
    referral = points["referral"]["threshold"]
    return {
        "overall_metrics": tables.overall_table(test, temperature, points, resamples, seed),
        "per_class_metrics": tables.per_class_table(test, temperature, resamples, seed),
        "confusion_matrix": tables.confusion_table(test),
        "reliability": tables.reliability_with_intervals(test, temperature, resamples, seed),
        "view_metrics": view_table(predictions, calibration.views["considered"], TEST, resamples, seed),
        "risk_coverage": selective_table(validation, test, temperature, points, resamples, seed),
        "decision_curve": decision_table(validation, test, temperature, clinic_prevalence, referral, resamples, seed),
        "class_calibration": class_calibration_table(test, temperature, resamples, seed),
    }


def table_differences(name: str, stated: pd.DataFrame, again: pd.DataFrame) -> list[str]:
    """Return where `stated` is not what `again` is, a line each, at most one a column.

    Args:
        name: Of the table.
        stated: The table as it is stored or released.
        again: The table computed anew.
    """
    stated, again = (table.reset_index() if table.index.name else table for table in (stated, again))
    if list(stated.columns) != list(again.columns) or len(stated) != len(again):
        return [f"{name}: other rows or columns than when computed anew"]
    found = []
    for column in stated.columns:
        one, other = stated[column].to_numpy(), again[column].to_numpy()
        if all(np.issubdtype(values.dtype, np.number) for values in (one, other)):
            equal = np.isclose(one.astype(float), other.astype(float), rtol=0, atol=TOLERANCE, equal_nan=True)
        else:
            # An empty text comes back from a CSV file as a missing one.
            one, other = (pd.Series(values).fillna("").astype(str).to_numpy() for values in (one, other))
            equal = one == other
        if not equal.all():
            row = int((~equal).argmax())
            of = stated["metric"].iloc[row] if "metric" in stated else f"row {row}"
            found.append(f"{name}: {column} of {of} is {one[row]}, computed anew {other[row]}")
    return found


def document_differences(name: str, stated: Any, again: Any) -> list[str]:
    """Return where a document is not what it is computed anew, a line each.

    Args:
        name: Of the document.
        stated: A value of JSON as it is stored or released.
        again: The same computed anew.
    """
    if isinstance(stated, Mapping) and isinstance(again, Mapping) and stated.keys() == again.keys():
        return [line for key in stated for line in document_differences(f"{name}: {key}", stated[key], again[key])]
    if isinstance(stated, list) and isinstance(again, list) and len(stated) == len(again):
        pairs = enumerate(zip(stated, again, strict=True))
        return [line for number, pair in pairs for line in document_differences(f"{name}[{number}]", *pair)]
    numbers = all(isinstance(value, int | float) for value in (stated, again))
    if abs(stated - again) <= CALIBRATION_TOLERANCE if numbers else stated == again:
        return []
    return [f"{name} is {stated}, computed anew {again}"]
