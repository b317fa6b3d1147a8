"""How far the probability of each diagnosis can be believed, each against all others.

One temperature calibrates the most probable diagnosis; the probability of a rare one can still be far off (Kull et
al., "Beyond temperature scaling", NeurIPS 2019). Measured by class-wise calibration error in bins that hold equally
many pictures (Nixon et al., "Measuring Calibration in Deep Learning", CVPR workshops 2019), by the Brier score, and by
logistic recalibration (Cox, Biometrika 45, 1958; Van Calster et al., BMC Medicine 17:230, 2019).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logsumexp

from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.calibration.temperature import softmax
from derma_assets.diagnoses import CODES, DIAGNOSES
from derma_assets.evaluation.bootstrap import with_intervals

BINS = 10
CLASS_CALIBRATION_METRICS = (
    "ece",
    "brier",
    "brier_skill",
    "brier_reliability",
    "brier_resolution",
    "brier_uncertainty",
    "intercept",
    "slope",
)
# The share of the diagnosis in each bin, beside its mean probability.
OBSERVED = "observed"
_STEPS = 50


@dataclass(frozen=True)
class EqualMassBins:
    """Bins of equally many pictures.

    Attributes:
        members: (n, b) bool, one True a row. Equal probabilities are never parted, so there can be fewer bins than
            asked for.
    """

    members: np.ndarray

    @classmethod
    def of(cls, probability: np.ndarray, bins: int = BINS) -> "EqualMassBins":
        """Return the bins of (n,) probabilities."""
        inner = np.unique(np.quantile(probability, np.arange(1, bins) / bins))
        place = np.unique(np.searchsorted(inner, probability, side="left"), return_inverse=True)[1]
        return cls(np.eye(place.max() + 1, dtype=bool)[place])

    def sums(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the weighted sum of (n,) values in each bin: (r, b) for (r, n) weights."""
        return weights @ (self.members * values[:, None])


def one_against_rest(logits: np.ndarray, index: int, temperature: float) -> np.ndarray:
    """Return the log odds (n,) of one class against all others, exact where the probability rounds to 0 or 1."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    return scaled[:, index] - logsumexp(np.delete(scaled, index, axis=1), axis=1)


def recalibration(log_odds: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the calibration intercept and slope by logistic regression of the truth on the log odds.

    The intercept is that of a regression whose slope is held at 1 (calibration in the large): 0 is right, above 0 the
    probabilities are too low on the whole. The slope is that of a regression with both free: 1 is right, below 1 the
    probabilities are too extreme.

    Args:
        log_odds: (n,).
        positive: (n,) bool truth.
        weights: (r, n) non-negative.

    Returns:
        Two (r,) arrays; NaN where there is no finite maximum of the likelihood (one class only, or none overlapping).
    """
    alone, _ = _newton(log_odds, positive, weights, slope_free=False)
    _, slope = _newton(log_odds, positive, weights, slope_free=True)
    return alone, slope


def _newton(
    log_odds: np.ndarray, positive: np.ndarray, weights: np.ndarray, slope_free: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Maximise the likelihood of every row of weights at once; logistic regression is concave, so Newton finds it."""
    # In units of its spread the slope's steps are as large as the intercept's.
    scale = max(float(np.std(log_odds)), 1e-9)
    x = log_odds / scale
    # From the maximum for all pictures it is a few steps to that of each resample.
    whole = _climb(x, positive, np.ones((1, len(x))), np.array([[0.0, scale]]), slope_free)
    start = np.where(np.isnan(whole), [[0.0, scale]], whole)
    found = _climb(x, positive, weights, np.repeat(start, len(weights), axis=0), slope_free)
    return found[:, 0], found[:, 1] / scale


def _climb(x: np.ndarray, positive: np.ndarray, weights: np.ndarray, start: np.ndarray, slope_free: bool) -> np.ndarray:
    """Return (r, 2) intercepts and slopes, NaN where the climb has not ended after `_STEPS` steps."""
    at, found = start.copy(), np.full(start.shape, np.nan)
    rows = np.arange(len(weights))
    for _ in range(_STEPS):
        fitted = expit(at[:, :1] + at[:, 1:] * x)
        residual, curvature = weights * (positive - fitted), weights * fitted * (1 - fitted)
        down, down_x = residual.sum(axis=1), residual @ x
        bend, bend_x, bend_xx = curvature.sum(axis=1), curvature @ x, curvature @ (x * x)
        with np.errstate(divide="ignore", invalid="ignore"):
            if slope_free:
                determinant = bend * bend_xx - bend_x**2
                step = np.stack([bend_xx * down - bend_x * down_x, bend * down_x - bend_x * down], axis=1)
                step /= determinant[:, None]
            else:
                step = np.stack([down / bend, np.zeros(len(rows))], axis=1)
            length = np.abs(step).max(axis=1)
            # Short steps, so that a start far away does not overshoot.
            at = at + step * np.minimum(1, 2 / np.maximum(length, 1e-12))[:, None]
        ended = length < 1e-6
        found[rows[ended]] = at[ended]
        going = ~ended & np.isfinite(length)  # Not finite: the likelihood is flat, as it has no maximum.
        if not going.any():
            break
        rows, at, weights = rows[going], at[going], weights[going]
    return found


def class_calibration_table(side: LabelledLogits, temperature: float, resamples: int, seed: int) -> pd.DataFrame:
    """Return the calibration of each diagnosis against the rest, in the order of `diagnoses.CODES`.

    The bins are those of all pictures, so a resample only weights them anew. A calibration error is never negative, and
    above 0 on few pictures even if the probabilities are right.

    Args:
        side: Logits and truth of n pictures.
        temperature: The calibrated one.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.

    Returns:
        Columns `dx`, `name`, `metric` (of `CLASS_CALIBRATION_METRICS`, or `observed` for a bin), `bin` (-1 where the
        row is no bin), `probability` (mean of the bin), `value`, `low`, `high`, `images` (of the diagnosis, or in the
        bin) and `lesions` (of the diagnosis). The Brier score is reliability - resolution + uncertainty (Murphy,
        Journal of Applied Meteorology 12, 1973) but for what varies within bins; its skill compares it with the
        uncertainty, the score of always saying the share of the diagnosis.
    """
    probabilities, labels = softmax(side.logits, temperature), side.labels
    bins = [EqualMassBins.of(probabilities[:, index]) for index in range(len(CODES))]
    ones = np.ones(len(labels))

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        total = weights.sum(axis=1)
        for index, code in enumerate(CODES):
            probability, positive = probabilities[:, index], (labels == index)
            counts = bins[index].sums(ones, weights)
            predicted, observed = (bins[index].sums(of, weights) for of in (probability, positive))
            share = (weights @ positive) / total
            rate = np.divide(observed, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
            mean = np.divide(predicted, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
            brier = (weights @ (probability - positive) ** 2) / total
            uncertainty = share * (1 - share)
            intercept, slope = recalibration(one_against_rest(side.logits, index, temperature), positive, weights)
            values = {
                "ece": np.abs(observed - predicted).sum(axis=1) / total,
                "brier": brier,
                "brier_skill": 1
                - np.divide(brier, uncertainty, out=np.full(brier.shape, np.nan), where=uncertainty > 0),
                "brier_reliability": np.nansum(counts * (mean - rate) ** 2, axis=1) / total,
                "brier_resolution": np.nansum(counts * (rate - share[:, None]) ** 2, axis=1) / total,
                "brier_uncertainty": uncertainty,
                "intercept": intercept,
                "slope": slope,
            }
            found |= {f"{code}/{metric}/-1": value for metric, value in values.items()}
            found |= {f"{code}/{OBSERVED}/{place}": rate[:, place] for place in range(rate.shape[1])}
        return found

    table = with_intervals(statistics, side.lesions, resamples, seed)
    table[["dx", "metric", "bin"]] = table["metric"].str.split("/", expand=True)
    table["bin"] = table["bin"].astype(np.int64)
    table["name"] = table["dx"].map({diagnosis.code: diagnosis.name for diagnosis in DIAGNOSES})
    support = [
        _support(side, probabilities, bins, dx, place) for dx, place in zip(table["dx"], table["bin"], strict=True)
    ]
    table[["probability", "images", "lesions"]] = pd.DataFrame(support)
    table = table.astype({"images": np.int64, "lesions": np.int64})
    return table[["dx", "name", "metric", "bin", "probability", "value", "low", "high", "images", "lesions"]]


def _support(
    side: LabelledLogits, probabilities: np.ndarray, bins: list[EqualMassBins], dx: str, place: int
) -> tuple[float, int, int]:
    """Return the mean probability in a bin, its pictures, and the lesions of the diagnosis; place -1: of no bin."""
    index = CODES.index(dx)
    of_class = side.labels == index
    lesions = len(np.unique(side.lesions[of_class]))
    if place < 0:
        return float("nan"), int(of_class.sum()), lesions
    inside = bins[index].members[:, place]
    return float(probabilities[inside, index].mean()), int(inside.sum()), lesions
