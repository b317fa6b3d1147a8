import json

import numpy as np
import pytest
import sklearn.metrics

from derma_assets.calibration.operating_points import at_sensitivity, at_specificity, is_any_of, score_of
from derma_assets.diagnoses import CODES, MALIGNANT, MELANOMA
from derma_assets.errors import InputError

SCORES = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
POSITIVE = np.array([False, False, True, False, False, True, False, True])


def test_at_specificity_by_hand() -> None:
    point = at_specificity(SCORES, POSITIVE, 0.8)
    assert point.threshold == pytest.approx(0.55)
    assert (point.specificity, point.sensitivity) == (pytest.approx(0.8), pytest.approx(2 / 3))
    assert (point.true_positives, point.false_positives, point.positives, point.images) == (2, 1, 3, 8)
    assert point.ppv == pytest.approx(2 / 3)
    assert point.referral_share == pytest.approx(3 / 8)


def test_at_sensitivity_by_hand() -> None:
    point = at_sensitivity(SCORES, POSITIVE, 0.9)
    assert point.threshold == pytest.approx(0.25)
    assert (point.sensitivity, point.specificity) == (1.0, pytest.approx(2 / 5))


@pytest.mark.parametrize("target", [0.3, 0.5, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("decimals", [1, 2, 8])
def test_targets_are_met_and_nothing_better_meets_them(target: float, decimals: int) -> None:
    draw = np.random.default_rng(decimals)
    positive = draw.random(300) < 0.3
    scores = np.round(np.clip(draw.normal(0.4 + 0.2 * positive, 0.2), 0, 1), decimals)
    false_alarms, hits, _ = sklearn.metrics.roc_curve(positive, scores, drop_intermediate=False)
    by_specificity, by_sensitivity = at_specificity(scores, positive, target), at_sensitivity(scores, positive, target)
    assert by_specificity.specificity >= target - 1e-9
    assert by_specificity.sensitivity == pytest.approx(hits[1 - false_alarms >= target - 1e-9].max())
    assert by_sensitivity.sensitivity >= target - 1e-9
    assert by_sensitivity.specificity == pytest.approx(1 - false_alarms[hits >= target - 1e-9].min())


def test_exact_targets_are_met_however_they_are_rounded() -> None:
    scores = np.linspace(0.01, 0.99, 40)
    positive = np.arange(40) % 2 == 0
    assert at_sensitivity(scores, positive, 0.95).true_positives == 19
    assert at_specificity(scores, positive, 0.95).false_positives == 1


def test_ties_cost_the_other_rate_never_the_target() -> None:
    scores = np.array([0.2, 0.5, 0.5, 0.5, 0.9])
    positive = np.array([False, True, False, False, True])
    assert at_specificity(scores, positive, 0.5).sensitivity == 0.5
    assert at_specificity(scores, positive, 0.5).specificity == 1
    assert at_sensitivity(scores, positive, 0.75).sensitivity == 1
    assert at_sensitivity(scores, positive, 0.75).specificity == pytest.approx(1 / 3)


def test_rounding_to_32_bits_changes_no_call() -> None:
    draw = np.random.default_rng(3)
    scores, positive = draw.random(500), draw.random(500) < 0.2
    for point in (at_specificity(scores, positive, 0.95), at_sensitivity(scores, positive, 0.95)):
        np.testing.assert_array_equal(scores.astype(np.float32) >= point.threshold, scores >= point.threshold)
        assert json.loads(json.dumps(point.document()))["threshold"] == point.threshold


def test_nothing_is_called_when_no_threshold_reaches_the_specificity() -> None:
    point = at_specificity(np.ones(4), np.array([True, False, False, False]), 0.9)
    assert (point.sensitivity, point.specificity, point.ppv) == (0, 1, None)
    assert point.threshold > 1


@pytest.mark.parametrize("positive", [np.zeros(8, dtype=bool), np.ones(8, dtype=bool)])
def test_both_kinds_of_pictures_are_needed(positive: np.ndarray) -> None:
    with pytest.raises(InputError, match="positive and negative validation pictures"):
        at_sensitivity(SCORES, positive, 0.9)


def test_scores_must_be_probabilities() -> None:
    with pytest.raises(InputError, match="from 0 to 1"):
        at_specificity(np.where(POSITIVE, np.nan, SCORES), POSITIVE, 0.9)


def test_scores_add_up_the_malignant_diagnoses() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(7), size=4)
    expected = sum(probabilities[:, CODES.index(code)] for code in MALIGNANT)
    np.testing.assert_allclose(score_of(probabilities, MALIGNANT), expected)
    truth = is_any_of(np.arange(7), (MELANOMA,))
    assert [code for code, positive in zip(CODES, truth, strict=True) if positive] == [MELANOMA]
