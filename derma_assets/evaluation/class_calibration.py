"""Calibration of each diagnosis against the rest: can its probability be believed, not only that of the first one?"""

import numpy as np
import pandas as pd

from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.calibration.temperature import softmax
from derma_assets.diagnoses import CODES
from derma_assets.evaluation.bootstrap import with_intervals

# Few, since the rarest diagnoses have only tens of pictures.
BINS = 10
CLASS_CALIBRATION_METRICS = ("ece", "brier", "brier_skill", "intercept", "slope")
_NEWTON_STEPS = 25
_MOST = 50.0


def equal_mass_bins(probability: np.ndarray) -> np.ndarray:
    """Return the bin of each picture, (n,) int 0..9: as many pictures in each as the count allows.

    With bins of equal width nearly all pictures of a rare diagnosis would be in the first (Nixon et al., "Measuring
    Calibration in Deep Learning", CVPR workshops 2019, section 3).

    Args:
        probability: (n,).
    """
    ranks = np.argsort(np.argsort(probability, kind="stable"), kind="stable")
    return ranks * BINS // len(probability)


def classwise_ece(probability: np.ndarray, positive: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the mean gap, over pictures, between the probability and the frequency in the bins of equal mass, (...).

    Args:
        probability: (n,) of one diagnosis.
        positive: (n,) bool, which pictures show it.
        weights: (..., n) non-negative.
    """
    in_bin = np.eye(BINS)[equal_mass_bins(probability)]
    weights = np.ones(len(probability)) if weights is None else weights
    gaps = weights @ (in_bin * (probability - positive)[:, None])
    return np.abs(gaps).sum(axis=-1) / weights.sum(axis=-1)


def intercept_and_slope(
    probability: np.ndarray, positive: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return intercept and slope of the logistic recalibration of one diagnosis: 0 and 1 if it is calibrated.

    The truth is regressed on the log-odds of the probability (Cox, "Two further applications of a model for binary
    regression", Biometrika 45, 1958), by Newton's method for all sets of weights at once. A slope below 1 means
    probabilities that are too extreme; an intercept above 0, at slope 1, that are too low.

    Args:
        probability: (n,).
        positive: (n,) bool.
        weights: (r, n) non-negative.

    Returns:
        Two (r,) arrays; NaN where the diagnosis is absent, or told apart without an error so that no slope is steep
        enough.
    """
    clipped = np.clip(probability, 1e-12, 1 - 1e-12)
    log_odds = np.log(clipped) - np.log1p(-clipped)
    intercept, slope = np.zeros(len(weights)), np.ones(len(weights))
    step = np.full((2, len(weights)), np.inf)
    for _ in range(_NEWTON_STEPS):
        fitted = 1 / (1 + np.exp(-np.clip(intercept[:, None] + slope[:, None] * log_odds, -_MOST, _MOST)))
        error, spread = weights * (positive - fitted), weights * fitted * (1 - fitted)
        # The curvature is [[a, b], [b, c]], inverted by hand for all sets of weights.
        a, b, c = spread.sum(axis=1), spread @ log_odds, spread @ log_odds**2
        down, along = error.sum(axis=1), error @ log_odds
        step = np.stack([c * down - b * along, a * along - b * down]) / np.maximum(a * c - b**2, 1e-12)
        # Damped: far from the optimum a whole step may overshoot.
        intercept, slope = intercept + np.clip(step[0], -1, 1), slope + np.clip(step[1], -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    settled = (np.abs(step).max(axis=0) < 1e-6) & (np.maximum(np.abs(intercept), np.abs(slope)) < _MOST)
    return np.where(settled, intercept, np.nan), np.where(settled, slope, np.nan)


def class_calibration_table(side: LabelledLogits, temperature: float, resamples: int, seed: int) -> pd.DataFrame:
    """Return how well the probability of each diagnosis is calibrated, in the order of `diagnoses.CODES`.

    Args:
        side: Logits and truth of n pictures.
        temperature: The calibrated one.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.

    Returns:
        Columns `dx`, `metric` (of `CLASS_CALIBRATION_METRICS`), `value`, `low`, `high`, and `images`. `ece` is that of
        `classwise_ece`; `brier` the mean squared error of the probability; `brier_skill` what share it saves of the
        Brier score of always saying the prevalence.
    """
    probabilities = softmax(side.logits, temperature)

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = {}
        total = weights.sum(axis=-1)
        for index, code in enumerate(CODES):
            probability, positive = probabilities[:, index], side.labels == index
            brier = weights @ (probability - positive) ** 2 / total
            prevalence = weights @ positive / total
            spread = prevalence * (1 - prevalence)
            skill = np.divide(brier, spread, out=np.full_like(brier, np.nan), where=spread > 0)
            intercept, slope = intercept_and_slope(probability, positive, weights)
            values = (classwise_ece(probability, positive, weights), brier, 1 - skill, intercept, slope)
            for name, value in zip(CLASS_CALIBRATION_METRICS, values, strict=True):
                found[f"{code}/{name}"] = value
        return found

    table = with_intervals(statistics, side.lesions, resamples, seed)
    table[["dx", "metric"]] = table["metric"].str.split("/", expand=True)
    table["images"] = table["dx"].map(lambda code: int((side.labels == CODES.index(code)).sum()))
    return table[["dx", "metric", "value", "low", "high", "images"]]


def class_bins(side: LabelledLogits, temperature: float) -> pd.DataFrame:
    """Return mean probability and frequency in each bin of each diagnosis: what a reliability diagram shows.

    Returns:
        Columns `dx`, `bin`, `images`, `mean_probability`, `frequency`.
    """
    probabilities = softmax(side.logits, temperature)
    parts = []
    for index, code in enumerate(CODES):
        probability = probabilities[:, index]
        rows = pd.DataFrame({"bin": equal_mass_bins(probability), "p": probability, "there": side.labels == index})
        of_bins = rows.groupby("bin").agg(
            images=("p", "size"), mean_probability=("p", "mean"), frequency=("there", "mean")
        )
        parts.append(of_bins.reset_index().assign(dx=code))
    return pd.concat(parts, ignore_index=True)[["dx", "bin", "images", "mean_probability", "frequency"]]
