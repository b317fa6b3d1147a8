"""What calibration leaves behind: the temperature with what it changed, and the two operating points."""

from typing import Any

import numpy as np
import pandas as pd

from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.calibration.operating_points import (
    OperatingPoint,
    at_sensitivity,
    at_specificity,
    is_any_of,
    score_of,
)
from derma_assets.calibration.reliability import (
    BINS,
    error_of_right_probabilities,
    expected_calibration_error,
    nll,
    reliability_bins,
)
from derma_assets.calibration.temperature import fit_temperature, softmax
from derma_assets.diagnoses import MALIGNANT, MELANOMA

# What each operating point calls positive.
POSITIVE: dict[str, tuple[str, ...]] = {"melanoma": (MELANOMA,), "referral": MALIGNANT}


def temperature_document(validation: LabelledLogits) -> dict[str, Any]:
    """Fit the temperature; return it with NLL (nats) and ECE on these pictures before and after, and their number.

    Raises:
        InputError: there are no pictures.
    """
    temperature = fit_temperature(validation.logits, validation.labels)
    before, after = softmax(validation.logits), softmax(validation.logits, temperature)
    return {
        "temperature": temperature,
        "nll_before": float(nll(before, validation.labels)),
        "nll_after": float(nll(after, validation.labels)),
        "ece_before": float(expected_calibration_error(before, validation.labels)),
        "ece_after": float(expected_calibration_error(after, validation.labels)),
        "images": len(validation.labels),
    }


def ece_by_chance(side: LabelledLogits, temperature: float, draws: int, seed: int) -> pd.Series:
    """Return the ECE that these pictures would show if their probabilities were right.

    Pictures of one lesion are taken as if they were of several, which makes the range rather too narrow.

    Args:
        side: Logits of the pictures.
        temperature: The calibrated one.
        draws: How often what the pictures are is drawn.
        seed: Of the draws.

    Returns:
        `value`, the mean of the draws, `low` and `high`, their 2.5th and 97.5th percentile.
    """
    errors = error_of_right_probabilities(softmax(side.logits, temperature), draws, seed)
    low, high = np.percentile(errors, (2.5, 97.5))
    return pd.Series({"value": errors.mean(), "low": low, "high": high})


def reliability_table(side: LabelledLogits, temperature: float) -> pd.DataFrame:
    """Return the reliability bins before and after temperature scaling.

    Returns:
        One row per bin, first those before, then those after: `calibration` ("before" or "after"), `bin` (0..14),
        `confidence_low` and `confidence_high` (edges), `images` in the bin, their `mean_confidence` and
        their `accuracy` (both NaN in an empty bin).
    """
    parts = []
    for calibration, at in (("before", 1.0), ("after", temperature)):
        images, confidence, correct = reliability_bins(softmax(side.logits, at), side.labels)
        shared = np.where(images > 0, images, np.nan)
        parts.append(
            pd.DataFrame(
                {
                    "calibration": calibration,
                    "bin": np.arange(BINS),
                    "confidence_low": np.arange(BINS) / BINS,
                    "confidence_high": np.arange(1, BINS + 1) / BINS,
                    "images": images.astype(np.int64),
                    "mean_confidence": confidence / shared,
                    "accuracy": correct / shared,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def scored(side: LabelledLogits, temperature: float, point: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the calibrated score (n,) and the truth (n,) bool of the operating point "melanoma" or "referral"."""
    probabilities = softmax(side.logits, temperature)
    return score_of(probabilities, POSITIVE[point]), is_any_of(side.labels, POSITIVE[point])


def choose_operating_points(
    validation: LabelledLogits, temperature: float, melanoma_specificity: float, referral_sensitivity: float
) -> dict[str, OperatingPoint]:
    """Return the operating points "melanoma", at a specificity, and "referral" of any malignancy, at a sensitivity.

    Raises:
        InputError: validation holds no melanoma, or nothing benign.
    """
    return {
        "melanoma": at_specificity(*scored(validation, temperature, "melanoma"), target=melanoma_specificity),
        "referral": at_sensitivity(*scored(validation, temperature, "referral"), target=referral_sensitivity),
    }
