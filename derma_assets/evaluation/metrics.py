"""Metrics of a seven-class classifier, weighted, for one set of weights or for a thousand at once.

Every function takes `weights` of shape (..., n) and returns arrays of shape (...): without weights each picture counts
once and the result has shape (). A bootstrap resample is a row of weights, so 1,000 resamples are one matrix product.

A class with no (weighted) picture has no recall, and nothing is to be said about it from such a resample: its recall,
precision, F1 and areas are NaN there, and macro averages go over the classes that are there. With all classes
there, as on every side of a split, each metric is the one scikit-learn computes.
"""

import numpy as np

from derma_assets.diagnoses import CODES

CLASSES = len(CODES)


def accuracy(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the share of pictures whose most probable class is the true one."""
    return top_k_accuracy(probabilities, labels, 1, weights)


def top_k_accuracy(
    probabilities: np.ndarray, labels: np.ndarray, k: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the share of pictures whose true class is among the k most probable; of equals, the earlier class wins.

    Args:
        probabilities: (n, 7).
        labels: (n,) index of the true class.
        k: 1 to 7.
        weights: (..., n) non-negative.
    """
    first = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return share((first == labels[:, None]).any(axis=1), np.ones(len(labels), dtype=bool), weights)


def brier(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the multi-class Brier score: squared error summed over classes, 0 (best) to 2 (Brier, 1950)."""
    errors = ((probabilities - np.eye(CLASSES)[labels]) ** 2).sum(axis=1)
    weights = _weights(labels, weights)
    return (weights @ errors) / weights.sum(axis=-1)


def confusion(predicted: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the (..., 7, 7) confusion matrix: rows are the truth, columns the prediction.

    Args:
        predicted: (n,) index of the predicted class.
        labels: (n,) index of the true class.
        weights: (..., n) non-negative.
    """
    cell = np.eye(CLASSES * CLASSES)[labels * CLASSES + predicted]
    counts = _weights(labels, weights) @ cell
    return counts.reshape(*counts.shape[:-1], CLASSES, CLASSES)


def precision_recall_f1(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return precision, recall and F1 of each class, (..., 7) each, from (..., 7, 7) confusion matrices.

    The precision of a class that is there but never predicted is 0.
    """
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    true, predicted = matrix.sum(axis=-1), matrix.sum(axis=-2)
    there = true > 0
    precision = np.where(there, _ratio(hits, predicted, otherwise=0.0), np.nan)
    return precision, _ratio(hits, true), np.where(there, _ratio(2 * hits, true + predicted), np.nan)


def macro(of_classes: np.ndarray) -> np.ndarray:
    """Return the (...) mean of (..., 7) values over the classes that are there; of recall it is balanced accuracy."""
    there = ~np.isnan(of_classes)
    return _ratio(np.where(there, of_classes, 0).sum(axis=-1), there.sum(axis=-1))


def share(of: np.ndarray, among: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the share of `of` among `among`, both (n,) bool: sensitivity is the share of the called among the ill."""
    weights = _weights(of, weights)
    return _ratio(weights @ (of & among), weights @ among)


def roc_auc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the area under the ROC curve; equal scores count half. NaN without positive or negative pictures.

    Args:
        scores: (n,), higher means more likely positive.
        positive: (n,) bool truth.
        weights: (..., n) non-negative.
    """
    hits, false_alarms = _curve(scores, positive, weights)
    width = np.diff(false_alarms, axis=-1, prepend=0)
    height = hits - np.diff(hits, axis=-1, prepend=0) / 2
    return _ratio((width * height).sum(axis=-1), hits[..., -1] * false_alarms[..., -1])


def pr_auc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return average precision: the area under the precision-recall curve as steps. NaN without positive pictures.

    Args:
        scores: (n,), higher means more likely positive.
        positive: (n,) bool truth.
        weights: (..., n) non-negative.
    """
    hits, false_alarms = _curve(scores, positive, weights)
    precision = _ratio(hits, hits + false_alarms, otherwise=0.0)
    return _ratio((np.diff(hits, axis=-1, prepend=0) * precision).sum(axis=-1), hits[..., -1])


def sensitivity_at_specificity(
    scores: np.ndarray, positive: np.ndarray, specificity: float, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the highest sensitivity of any threshold whose specificity is at least `specificity`, on these pictures.

    The threshold is chosen on the pictures that it is measured on, and in each resample anew, so this flatters a
    little; it is the figure that papers report.

    Args:
        scores: (n,), higher means more likely positive.
        positive: (n,) bool truth.
        specificity: 0..1.
        weights: (..., n) non-negative.
    """
    hits, false_alarms = _curve(scores, positive, weights)
    sensitivity = _ratio(hits, hits[..., -1:])
    reached = _ratio(false_alarms, false_alarms[..., -1:]) <= 1 - specificity + 1e-12
    # Calling nothing positive is always allowed, hence at least 0.
    best = np.where(reached, sensitivity, 0).max(axis=-1)
    return np.where((hits[..., -1] > 0) & (false_alarms[..., -1] > 0), best, np.nan)


def _curve(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of true and of false positives at every distinct threshold, falling: two (..., k) arrays."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    # Pictures with equal scores cross the threshold together.
    ends = np.append(np.nonzero(np.diff(ordered))[0], len(ordered) - 1)
    weights = _weights(scores, weights)[..., order]
    ill = positive[order]
    called = np.cumsum(weights, axis=-1)[..., ends]
    hits = np.cumsum(weights * ill, axis=-1)[..., ends]
    return hits, called - hits


def _weights(pictures: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return np.ones(len(pictures)) if weights is None else weights


def _ratio(part: np.ndarray, whole: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """Return part / whole, and `otherwise` where the whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    return np.divide(part, whole, out=np.full(part.shape, otherwise), where=whole > 0)
