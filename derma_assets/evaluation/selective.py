"""Selective classification: what refusing the least certain pictures buys (Geifman and El-Yaniv, NIPS 2017).

Risk is the share of wrong first diagnoses among the pictures that are answered, coverage the share that is answered.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.calibration.summary import scored
from derma_assets.calibration.temperature import softmax
from derma_assets.diagnoses import CODES
from derma_assets.evaluation import metrics
from derma_assets.evaluation.bootstrap import with_intervals

COVERAGES = tuple(round(0.05 * step, 2) for step in range(1, 21))
# The share of pictures, on validation, that the table of `refusal_table` refuses.
REFUSED = 0.1


def certainties(probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """Return three measures of how certain a prediction is, (n,) each, higher is more certain.

    Args:
        probabilities: (n, 7).

    Returns:
        `probability` of the first diagnosis, its `margin` over the second, and the negative `entropy` in nats.
    """
    ordered = np.sort(probabilities, axis=1)
    safe = np.maximum(probabilities, np.finfo(np.float64).tiny)
    return {
        "probability": ordered[:, -1],
        "margin": ordered[:, -1] - ordered[:, -2],
        "entropy": (safe * np.log(safe)).sum(axis=1),
    }


def risks(certainty: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the coverage and the risk when all pictures down to each are answered, the most certain first.

    Args:
        certainty: (n,).
        wrong: (n,) bool.
        weights: (..., n) non-negative.

    Returns:
        Two (..., n) arrays; the risk is 0 while nothing is covered.
    """
    order = np.argsort(-certainty, kind="stable")
    answered = np.cumsum(weights[..., order], axis=-1)
    errors = np.cumsum(weights[..., order] * wrong[order], axis=-1)
    return answered / answered[..., -1:], np.divide(errors, answered, out=np.zeros_like(errors), where=answered > 0)


def area_under_risk_coverage(certainty: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean risk over all coverages, (...): lower is better.

    Args:
        certainty: (n,).
        wrong: (n,) bool.
        weights: (..., n) non-negative.
    """
    coverage, risk = risks(certainty, wrong, weights)
    return (np.diff(coverage, axis=-1, prepend=0) * risk).sum(axis=-1)


def least_area(error: np.ndarray) -> np.ndarray:
    """Return the area of an oracle that refuses what is wrong first, for (...) error rates.

    Source: Geifman, Uziel, El-Yaniv, "Bias-Reduced Uncertainty Estimation", ICLR 2019, equation 4.
    """
    right = np.clip(1 - error, np.finfo(np.float64).tiny, 1)
    return error + right * np.log(right)


def risk_coverage_table(side: LabelledLogits, temperature: float, resamples: int, seed: int) -> pd.DataFrame:
    """Return risk at each coverage, and the areas under it, for each measure of certainty.

    Args:
        side: Logits and truth of n pictures.
        temperature: The calibrated one.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.

    Returns:
        Columns `certainty`, `metric`, `coverage`, `value`, `low`, `high`. The metric is `risk` at one of `COVERAGES`,
        `aurc`, the mean risk, or `excess_aurc`, by how much it is above an oracle's; these two have no coverage.
    """
    probabilities = softmax(side.logits, temperature)
    wrong = probabilities.argmax(axis=1) != side.labels
    measures = certainties(probabilities)

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = {}
        error = metrics.share(wrong, np.ones_like(wrong), weights)
        for name, certainty in measures.items():
            coverage, risk = risks(certainty, wrong, weights)
            for wanted in COVERAGES:
                # The fewest pictures that cover so much; rounding must not ask for one more.
                at = (coverage >= wanted - 1e-9).argmax(axis=-1)
                found[f"{name}/risk/{wanted}"] = np.take_along_axis(risk, at[..., None], axis=-1)[..., 0]
            area = area_under_risk_coverage(certainty, wrong, weights)
            found[f"{name}/aurc/"] = area
            found[f"{name}/excess_aurc/"] = area - least_area(error)
        return found

    table = with_intervals(statistics, side.lesions, resamples, seed)
    table[["certainty", "metric", "coverage"]] = table["metric"].str.split("/", expand=True)
    table["coverage"] = pd.to_numeric(table["coverage"])
    return table[["certainty", "metric", "coverage", "value", "low", "high"]]


def refusal_threshold(validation: LabelledLogits, temperature: float) -> float:
    """Return the probability of the first diagnosis below which `REFUSED` of these pictures lie."""
    return float(np.quantile(softmax(validation.logits, temperature).max(axis=1), REFUSED))


def refusal_table(
    side: LabelledLogits,
    temperature: float,
    points: Mapping[str, Any],
    threshold: float,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return what refusing pictures whose first diagnosis is less probable than a threshold buys.

    Args:
        side: Logits and truth of n pictures.
        temperature: The calibrated one.
        points: For each operating point ("melanoma", "referral") a document with its `threshold`.
        threshold: As `refusal_threshold` returns it, from other pictures than these.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.

    Returns:
        Columns `metric`, `pictures`, `value`, `low`, `high`. `pictures` says on which the metric is: `all`, the
        `answered` ones, or the `gain` from all to answered, on the same resamples. The metric `refused` is the share
        refused, of all; `refused_<dx>` of those of one diagnosis.
    """
    probabilities, labels = softmax(side.logits, temperature), side.labels
    predicted = probabilities.argmax(axis=1)
    answered = probabilities.max(axis=1) >= threshold
    calls = {}
    for name, point in points.items():
        score, positive = scored(side, temperature, name)
        calls[name] = (score >= point["threshold"], positive)

    def measured(weights: np.ndarray) -> dict[str, np.ndarray]:
        _, recall, f1 = metrics.precision_recall_f1(metrics.confusion(predicted, labels, weights))
        found = {
            "accuracy": metrics.share(predicted == labels, np.ones_like(answered), weights),
            "balanced_accuracy": metrics.macro(recall),
            "macro_f1": metrics.macro(f1),
        }
        for name, (called, positive) in calls.items():
            found[f"{name}_sensitivity"] = metrics.share(called, positive, weights)
            found[f"{name}_specificity"] = metrics.share(~called, ~positive, weights)
        return found

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        before, after = measured(weights), measured(weights * answered)
        found = {"refused/all": metrics.share(~answered, np.ones_like(answered), weights)}
        for index, code in enumerate(CODES):
            found[f"refused_{code}/all"] = metrics.share(~answered, labels == index, weights)
        for name in before:
            found |= {
                f"{name}/all": before[name],
                f"{name}/answered": after[name],
                f"{name}/gain": after[name] - before[name],
            }
        return found

    table = with_intervals(statistics, side.lesions, resamples, seed)
    table[["metric", "pictures"]] = table["metric"].str.split("/", expand=True)
    return table[["metric", "pictures", "value", "low", "high"]]
