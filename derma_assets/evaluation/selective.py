"""Selective classification: what is gained when the pictures that the model is least sure of are refused.

A model that may say "I do not know" is judged by its risk at each coverage, the share of pictures that it answers
(El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification", JMLR 11, 2010; for deep networks
Geifman and El-Yaniv, NeurIPS 2017). The area under that curve (AURC) depends on how often the model errs at all; the
excess AURC is what the order of confidence adds to that of an oracle that refuses the wrong answers first (Geifman,
Uziel and El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", ICLR 2019).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import entr

from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.calibration.summary import scored
from derma_assets.calibration.temperature import softmax
from derma_assets.diagnoses import CODES
from derma_assets.evaluation import metrics
from derma_assets.evaluation.bootstrap import with_intervals

# The share that is refused: a person would look at one picture in ten.
REFUSED_SHARE = 0.10
COVERAGES = tuple(round(0.05 * step, 2) for step in range(20, 1, -1))


def _margin(probabilities: np.ndarray) -> np.ndarray:
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return first - second


# How sure the model is, from (n, 7) probabilities: (n,), higher is surer.
CONFIDENCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "max_probability": lambda probabilities: probabilities.max(axis=1),
    "margin": _margin,
    "negative_entropy": lambda probabilities: -entr(probabilities).sum(axis=1),
}
CHOSEN = "max_probability"
# Rows of the table, by its column `part`.
CURVE, AREA, REFUSAL, REFUSED_BY_DX = "curve", "area", "refusal", "refused_by_diagnosis"


def kept_at(confidence: np.ndarray, coverage: float, weights: np.ndarray) -> np.ndarray:
    """Return the weights of the surest pictures that make up `coverage` of all weight; the others get 0.

    Args:
        confidence: (n,), higher is surer; of equals the earlier picture counts as surer.
        coverage: 0..1. The picture at the boundary is kept whole.
        weights: (r, n) non-negative.
    """
    order = np.argsort(-confidence, kind="stable")
    before = np.cumsum(weights[:, order], axis=1) - weights[:, order]
    kept = np.empty(weights.shape, dtype=bool)
    kept[:, order] = before < coverage * weights.sum(axis=1, keepdims=True) - 1e-9
    return weights * kept


def area_under_risk_coverage(confidence: np.ndarray, wrong: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean, over pictures, of the share of errors among those at least as sure: (r,), 0 is best.

    Args:
        confidence: (n,), higher is surer; pictures of equal confidence are answered together.
        wrong: (n,) bool.
        weights: (r, n) non-negative.
    """
    levels, level = np.unique(-confidence, return_inverse=True)
    at_level = np.eye(len(levels))[level]
    answered, errors = weights @ at_level, (weights * wrong) @ at_level
    covered = np.cumsum(answered, axis=1)
    risk = np.divide(np.cumsum(errors, axis=1), covered, out=np.zeros(covered.shape), where=covered > 0)
    return (risk * answered).sum(axis=1) / covered[:, -1]


def oracle_area(wrong: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area that an oracle would reach, which refuses every wrong answer before any right one: (r,)."""
    order = np.argsort(wrong, kind="stable")
    ordered = weights[:, order]
    covered = np.cumsum(ordered, axis=1)
    errors = np.cumsum(ordered * wrong[order], axis=1)
    risk = np.divide(errors, covered, out=np.zeros(covered.shape), where=covered > 0)
    return (risk * ordered).sum(axis=1) / covered[:, -1]


def refusal_threshold(confidence: np.ndarray, share: float = REFUSED_SHARE) -> float:
    """Return the confidence below which at most `share` of the pictures lie: those are refused.

    The middle of the gap between two neighbouring confidences, as for the other thresholds.

    Args:
        confidence: (n,) of validation.
        share: 0..1.
    """
    distinct, counts = np.unique(confidence, return_counts=True)
    below = np.cumsum(counts) - counts
    place = int(np.nonzero(below <= share * len(confidence) + 1e-9)[0][-1])
    return float(distinct[0]) if place == 0 else float((distinct[place - 1] + distinct[place]) / 2)


def selective_table(
    validation: LabelledLogits,
    test: LabelledLogits,
    temperature: float,
    points: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return the risk-coverage curve on test, its areas, and what refusing the least certain tenth changes.

    Args:
        validation: Where the threshold that refuses a tenth is taken from.
        test: Where everything is measured.
        temperature: The calibrated one.
        points: For each operating point ("melanoma", "referral") a document with its `threshold`.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.

    Returns:
        Columns `part`, `confidence` (of `CONFIDENCES`), `name`, `metric`, `value`, `low`, `high`.

        | part | name | metric |
        | --- | --- | --- |
        | curve | coverage, such as `0.90` | `risk`; of the chosen confidence also `balanced_risk`, `macro_f1`, ... |
        | area | | `aurc`, `excess_aurc` |
        | refusal | `before`, `after`, `difference` | accuracy and so on; `coverage` and `threshold` (name `after`) |
        | refused_by_diagnosis | diagnosis | `refused` |

        `after` is among the pictures still answered, but for `malignant_missed` and `melanoma_missed`, which are the
        shares of all malignant pictures and of all melanomas that are neither refused nor called.
    """
    probabilities, labels = softmax(test.logits, temperature), test.labels
    predicted = probabilities.argmax(axis=1)
    wrong = predicted != labels
    sure = {name: confidence(probabilities) for name, confidence in CONFIDENCES.items()}
    threshold = refusal_threshold(CONFIDENCES[CHOSEN](softmax(validation.logits, temperature)))
    answered = sure[CHOSEN] >= threshold
    called, positive = {}, {}
    for point, document in points.items():
        score, positive[point] = scored(test, temperature, point)
        called[point] = score >= document["threshold"]

    def measures(weights: np.ndarray) -> dict[str, np.ndarray]:
        _, recall, f1 = metrics.precision_recall_f1(metrics.confusion(predicted, labels, weights))
        return {
            "accuracy": metrics.accuracy(probabilities, labels, weights),
            "balanced_accuracy": metrics.macro(recall),
            "macro_f1": metrics.macro(f1),
            "referral_sensitivity": metrics.share(called["referral"], positive["referral"], weights),
            "referral_specificity": metrics.share(~called["referral"], ~positive["referral"], weights),
            "melanoma_sensitivity": metrics.share(called["melanoma"], positive["melanoma"], weights),
            "melanoma_specificity": metrics.share(~called["melanoma"], ~positive["melanoma"], weights),
        }

    def missed(accepted: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        return {
            f"{kind}_missed": metrics.share(accepted & ~called[point], positive[point], weights)
            for kind, point in (("malignant", "referral"), ("melanoma", "melanoma"))
        }

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for name, confidence in sure.items():
            for coverage in COVERAGES:
                kept = kept_at(confidence, coverage, weights)
                at = f"{CURVE}/{name}/{coverage:.2f}"
                if name != CHOSEN:
                    found[f"{at}/risk"] = 1 - metrics.accuracy(probabilities, labels, kept)
                    continue
                of_kept = measures(kept)
                found[f"{at}/risk"] = 1 - of_kept["accuracy"]
                found[f"{at}/balanced_risk"] = 1 - of_kept["balanced_accuracy"]
                found[f"{at}/macro_f1"] = of_kept["macro_f1"]
                found[f"{at}/melanoma_miss_rate"] = 1 - of_kept["melanoma_sensitivity"]
                found[f"{at}/referral_miss_rate"] = 1 - of_kept["referral_sensitivity"]
        for name, confidence in sure.items():
            area = area_under_risk_coverage(confidence, wrong, weights)
            found[f"{AREA}/{name}//aurc"] = area
            found[f"{AREA}/{name}//excess_aurc"] = area - oracle_area(wrong, weights)
        everything = np.ones(len(labels), dtype=bool)
        before = measures(weights) | missed(everything, weights)
        after = measures(weights * answered) | missed(answered, weights)
        refusal = f"{REFUSAL}/{CHOSEN}"
        found[f"{refusal}/after/coverage"] = metrics.share(answered, everything, weights)
        for metric, value in before.items():
            found[f"{refusal}/before/{metric}"] = value
            found[f"{refusal}/after/{metric}"] = after[metric]
            found[f"{refusal}/difference/{metric}"] = after[metric] - value
        for index, code in enumerate(CODES):
            of_class = labels == index
            found[f"{REFUSED_BY_DX}/{CHOSEN}/{code}/refused"] = metrics.share(~answered, of_class, weights)
        return found

    table = with_intervals(statistics, test.lesions, resamples, seed)
    table[["part", "confidence", "name", "metric"]] = table["metric"].str.split("/", expand=True)
    rule = {"part": REFUSAL, "confidence": CHOSEN, "name": "after", "metric": "threshold", "value": threshold}
    table = pd.concat([table, pd.DataFrame([rule])], ignore_index=True)
    return table[["part", "confidence", "name", "metric", "value", "low", "high"]]
