"""The tables of a report on one side of the split, each number with its 95 % interval over lesions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.calibration.reliability import BINS, expected_calibration_error, nll, reliability_bins
from derma_assets.calibration.summary import reliability_table, scored
from derma_assets.calibration.temperature import softmax
from derma_assets.diagnoses import CODES, DIAGNOSES
from derma_assets.evaluation import metrics
from derma_assets.evaluation.bootstrap import with_intervals

# The specificity at which papers on HAM10000 and ISIC state melanoma's sensitivity.
LITERATURE_SPECIFICITY = 0.95

PER_CLASS_METRICS = ("precision", "recall", "f1", "roc_auc", "pr_auc")


def overall_table(
    side: LabelledLogits, temperature: float, points: Mapping[str, Any], resamples: int, seed: int
) -> pd.DataFrame:
    """Return the metrics of the whole side: columns `metric`, `value`, `low`, `high`.

    Temperature and thresholds are taken as given, so the intervals hold the chance of the pictures tested, not
    that of the pictures the thresholds were chosen on.

    Args:
        side: Logits and truth of n pictures.
        temperature: The calibrated one.
        points: For each operating point ("melanoma", "referral") a document with its `threshold`.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.
    """
    before, after = softmax(side.logits), softmax(side.logits, temperature)
    predicted, labels = after.argmax(axis=1), side.labels
    melanoma_score, melanoma = scored(side, temperature, "melanoma")
    calls = {}
    for name, point in points.items():
        score, positive = scored(side, temperature, name)
        calls[name] = (score >= point["threshold"], positive)

    # What the app says: refer if either rule says so. Judged by whether the lesion is malignant.
    calls["verdict"] = (np.logical_or.reduce([called for called, _ in calls.values()]), calls["referral"][1])

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        precision, recall, f1 = metrics.precision_recall_f1(metrics.confusion(predicted, labels, weights))
        found = {
            "accuracy": metrics.accuracy(after, labels, weights),
            "balanced_accuracy": metrics.macro(recall),
            "top_2_accuracy": metrics.top_k_accuracy(after, labels, 2, weights),
            "top_3_accuracy": metrics.top_k_accuracy(after, labels, 3, weights),
            "macro_precision": metrics.macro(precision),
            "macro_recall": metrics.macro(recall),
            "macro_f1": metrics.macro(f1),
            "ece_before": expected_calibration_error(before, labels, weights),
            "ece_after": expected_calibration_error(after, labels, weights),
            "nll_before": nll(before, labels, weights),
            "nll_after": nll(after, labels, weights),
            "brier_before": metrics.brier(before, labels, weights),
            "brier_after": metrics.brier(after, labels, weights),
            "melanoma_roc_auc": metrics.roc_auc(melanoma_score, melanoma, weights),
            "melanoma_sensitivity_at_95_specificity_on_test_roc": metrics.sensitivity_at_specificity(
                melanoma_score, melanoma, LITERATURE_SPECIFICITY, weights
            ),
        }
        for name, (called, positive) in calls.items():
            found[f"{name}_sensitivity"] = metrics.share(called, positive, weights)
            found[f"{name}_specificity"] = metrics.share(~called, ~positive, weights)
        return found

    return with_intervals(statistics, side.lesions, resamples, seed)


def per_class_table(side: LabelledLogits, temperature: float, resamples: int, seed: int) -> pd.DataFrame:
    """Return the metrics of each diagnosis against the rest, in the order of `diagnoses.CODES`.

    Args:
        side: Logits and truth of n pictures.
        temperature: The calibrated one.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.

    Returns:
        Columns `dx`, `name`, `metric` (precision, recall, f1, roc_auc, pr_auc), `value`, `low`, `high`, and the support
        `images` and `lesions`.
    """
    probabilities = softmax(side.logits, temperature)
    predicted, labels = probabilities.argmax(axis=1), side.labels

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        from_calls = metrics.precision_recall_f1(metrics.confusion(predicted, labels, weights))
        found = {}
        for index, code in enumerate(CODES):
            areas = [
                area(probabilities[:, index], labels == index, weights) for area in (metrics.roc_auc, metrics.pr_auc)
            ]
            for metric, value in zip(PER_CLASS_METRICS, [*(of[:, index] for of in from_calls), *areas], strict=True):
                found[f"{code}/{metric}"] = value
        return found

    table = with_intervals(statistics, side.lesions, resamples, seed)
    table[["dx", "metric"]] = table["metric"].str.split("/", expand=True)
    images = np.bincount(labels, minlength=len(CODES))
    lesions = [len(np.unique(side.lesions[labels == index])) for index in range(len(CODES))]
    table["name"] = table["dx"].map({diagnosis.code: diagnosis.name for diagnosis in DIAGNOSES})
    table["images"] = table["dx"].map(dict(zip(CODES, images.tolist(), strict=True)))
    table["lesions"] = table["dx"].map(dict(zip(CODES, lesions, strict=True)))
    return table[["dx", "name", "metric", "value", "low", "high", "images", "lesions"]]


def confusion_table(side: LabelledLogits) -> pd.DataFrame:
    """Return the 7 x 7 counts of pictures: index `dx` is the truth, the columns are the predictions."""
    counts = metrics.confusion(side.logits.argmax(axis=1), side.labels)
    return pd.DataFrame(counts.astype(np.int64), index=pd.Index(CODES, name="dx"), columns=list(CODES))


def reliability_with_intervals(side: LabelledLogits, temperature: float, resamples: int, seed: int) -> pd.DataFrame:
    """Return `calibration.summary.reliability_table` with `low` and `high`: the interval of each bin's accuracy."""
    table = reliability_table(side, temperature)

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for calibration, at in (("before", 1.0), ("after", temperature)):
            images, _, correct = reliability_bins(softmax(side.logits, at), side.labels, weights)
            accuracy = np.divide(correct, images, out=np.full(images.shape, np.nan), where=images > 0)
            found |= {f"{calibration}/{index}": accuracy[:, index] for index in range(BINS)}
        return found

    intervals = with_intervals(statistics, side.lesions, resamples, seed)
    return table.assign(low=intervals["low"], high=intervals["high"])


def calibration_gaps(reliability: pd.DataFrame) -> dict[str, float]:
    """Return the expected calibration error of each `calibration` in a reliability table: the bars' mean distance.

    Args:
        reliability: As `reliability_with_intervals` returns it.
    """
    filled = reliability[reliability["images"] > 0]
    distance = (filled["accuracy"] - filled["mean_confidence"]).abs() * filled["images"]
    totals = pd.DataFrame({"distance": distance, "images": filled["images"]}).groupby(filled["calibration"]).sum()
    return {str(name): float(row["distance"] / row["images"]) for name, row in totals.iterrows()}
