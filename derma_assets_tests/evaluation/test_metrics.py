"""Every metric against scikit-learn, unweighted and for several rows of weights at once."""

from collections.abc import Callable

import numpy as np
import pytest
import sklearn.metrics

from derma_assets.evaluation import metrics

PICTURES = 400
DRAW = np.random.default_rng(5)
LABELS = DRAW.choice(7, PICTURES, p=[0.05, 0.08, 0.12, 0.05, 0.15, 0.5, 0.05])
PROBABILITIES = DRAW.dirichlet(np.ones(7), PICTURES) + 0.3 * np.eye(7)[LABELS]
PROBABILITIES /= PROBABILITIES.sum(axis=1, keepdims=True)
PREDICTED = PROBABILITIES.argmax(axis=1)
# Few distinct values, so many ties.
TIED = np.round(PROBABILITIES[:, 4], 1)
WEIGHTS = DRAW.integers(0, 4, size=(3, PICTURES)).astype(float)


def agree(ours: Callable[[np.ndarray | None], np.ndarray], theirs: Callable[[np.ndarray | None], float]) -> None:
    assert ours(None) == pytest.approx(theirs(None))
    together = ours(WEIGHTS)
    assert together.shape == (3,)
    np.testing.assert_allclose(together, [theirs(row) for row in WEIGHTS])


def test_accuracy() -> None:
    agree(
        lambda w: metrics.accuracy(PROBABILITIES, LABELS, w),
        lambda w: sklearn.metrics.accuracy_score(LABELS, PREDICTED, sample_weight=w),
    )


@pytest.mark.parametrize("k", [2, 3, 7])
def test_top_k_accuracy(k: int) -> None:
    if k == 7:
        assert metrics.top_k_accuracy(PROBABILITIES, LABELS, k) == 1
        return
    agree(
        lambda w: metrics.top_k_accuracy(PROBABILITIES, LABELS, k, w),
        lambda w: sklearn.metrics.top_k_accuracy_score(LABELS, PROBABILITIES, k=k, labels=range(7), sample_weight=w),
    )


def test_top_1_of_equal_probabilities_is_the_prediction() -> None:
    equal = np.full((7, 7), 1 / 7)
    assert metrics.top_k_accuracy(equal, np.arange(7), 1) == pytest.approx(1 / 7)
    assert metrics.top_k_accuracy(equal, np.arange(7), 3) == pytest.approx(3 / 7)


def test_brier() -> None:
    agree(
        lambda w: metrics.brier(PROBABILITIES, LABELS, w),
        lambda w: np.average(((PROBABILITIES - np.eye(7)[LABELS]) ** 2).sum(axis=1), weights=w),
    )


def test_confusion() -> None:
    np.testing.assert_array_equal(
        metrics.confusion(PREDICTED, LABELS), sklearn.metrics.confusion_matrix(LABELS, PREDICTED)
    )
    for row, matrix in zip(WEIGHTS, metrics.confusion(PREDICTED, LABELS, WEIGHTS), strict=True):
        np.testing.assert_allclose(matrix, sklearn.metrics.confusion_matrix(LABELS, PREDICTED, sample_weight=row))


def test_precision_recall_f1_of_each_class() -> None:
    ours = metrics.precision_recall_f1(metrics.confusion(PREDICTED, LABELS, WEIGHTS))
    for index, row in enumerate(WEIGHTS):
        theirs = sklearn.metrics.precision_recall_fscore_support(LABELS, PREDICTED, sample_weight=row)
        for values, expected in zip(ours, theirs[:3], strict=True):
            np.testing.assert_allclose(values[index], expected)


@pytest.mark.parametrize(
    ("which", "theirs"),
    [(0, sklearn.metrics.precision_score), (1, sklearn.metrics.recall_score), (2, sklearn.metrics.f1_score)],
)
def test_macro_averages(which: int, theirs: Callable[..., float]) -> None:
    agree(
        lambda w: metrics.macro(metrics.precision_recall_f1(metrics.confusion(PREDICTED, LABELS, w))[which]),
        lambda w: theirs(LABELS, PREDICTED, average="macro", sample_weight=w),
    )


def test_balanced_accuracy() -> None:
    agree(
        lambda w: metrics.macro(metrics.precision_recall_f1(metrics.confusion(PREDICTED, LABELS, w))[1]),
        lambda w: sklearn.metrics.balanced_accuracy_score(LABELS, PREDICTED, sample_weight=w),
    )


@pytest.mark.parametrize("scores", [PROBABILITIES[:, 4], TIED, np.zeros(PICTURES)], ids=["distinct", "tied", "equal"])
def test_areas(scores: np.ndarray) -> None:
    positive = LABELS == 4
    agree(
        lambda w: metrics.roc_auc(scores, positive, w),
        lambda w: sklearn.metrics.roc_auc_score(positive, scores, sample_weight=w),
    )
    agree(
        lambda w: metrics.pr_auc(scores, positive, w),
        lambda w: sklearn.metrics.average_precision_score(positive, scores, sample_weight=w),
    )


@pytest.mark.parametrize("scores", [PROBABILITIES[:, 4], TIED], ids=["distinct", "tied"])
@pytest.mark.parametrize("specificity", [0.5, 0.95, 1.0])
def test_sensitivity_at_specificity(scores: np.ndarray, specificity: float) -> None:
    positive = LABELS == 4

    def theirs(weights: np.ndarray | None) -> float:
        false_alarms, hits, _ = sklearn.metrics.roc_curve(
            positive, scores, sample_weight=weights, drop_intermediate=False
        )
        return float(hits[false_alarms <= 1 - specificity + 1e-9].max())

    agree(lambda w: metrics.sensitivity_at_specificity(scores, positive, specificity, w), theirs)


def test_share_is_sensitivity_and_specificity() -> None:
    called, positive = TIED >= 0.3, LABELS == 4
    agree(
        lambda w: metrics.share(called, positive, w),
        lambda w: sklearn.metrics.recall_score(positive, called, sample_weight=w),
    )
    agree(
        lambda w: metrics.share(~called, ~positive, w),
        lambda w: sklearn.metrics.recall_score(positive, called, pos_label=0, sample_weight=w),
    )


def test_a_resample_without_a_class_leaves_the_class_out() -> None:
    without = np.where(LABELS == 3, 0.0, 1.0)
    precision, recall, f1 = metrics.precision_recall_f1(metrics.confusion(PREDICTED, LABELS, without))
    for values in (precision, recall, f1):
        assert np.isnan(values[3])
        assert np.isfinite(np.delete(values, 3)).all()
        assert metrics.macro(values) == pytest.approx(np.nanmean(values))
    for area in (metrics.roc_auc, metrics.pr_auc):
        assert np.isnan(area(PROBABILITIES[:, 3], LABELS == 3, without))
    assert np.isnan(metrics.sensitivity_at_specificity(PROBABILITIES[:, 3], LABELS == 3, 0.95, without))
    assert np.isnan(metrics.roc_auc(PROBABILITIES[:, 3], LABELS == 3, 1 - without)), "no negative pictures"


def test_a_class_never_predicted_has_precision_zero() -> None:
    precision, recall, f1 = metrics.precision_recall_f1(metrics.confusion(np.zeros(14, dtype=int), np.arange(14) % 7))
    assert (precision[1], recall[1], f1[1]) == (0, 0, 0)
