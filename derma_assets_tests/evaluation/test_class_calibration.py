import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from derma_assets.calibration.labelled_logits import LabelledLogits, labelled_logits
from derma_assets.diagnoses import CODES
from derma_assets.evaluation.class_calibration import (
    BINS,
    CLASS_CALIBRATION_METRICS,
    class_bins,
    class_calibration_table,
    classwise_ece,
    equal_mass_bins,
    intercept_and_slope,
)
from derma_assets.evaluation.uncertainty_figures import class_calibration_figure
from derma_assets.evaluation.uncertainty_report import class_calibration_markdown
from derma_assets_tests.calibration.made_up import predictions


def _drawn(pictures: int, intercept: float = 0.0, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities, and truths drawn from what they are once recalibrated."""
    draw = np.random.default_rng(3)
    log_odds = draw.normal(-1, 1.5, pictures)
    truth = draw.random(pictures) < 1 / (1 + np.exp(-(intercept + slope * log_odds)))
    return 1 / (1 + np.exp(-log_odds)), truth


def test_bins_hold_as_many_pictures_each() -> None:
    bins = equal_mass_bins(np.random.default_rng(0).random(95) ** 4)
    assert sorted(set(np.bincount(bins))) == [9, 10]
    assert equal_mass_bins(np.array([0.9, 0.1])).tolist() == [5, 0]
    assert len(set(bins)) == BINS


def test_ece_by_hand() -> None:
    probability = np.repeat(np.linspace(0.05, 0.95, 10), 2)
    positive = np.tile([True, False], 10)
    # In every bin half are positive.
    assert classwise_ece(probability, positive) == pytest.approx(np.abs(np.linspace(0.05, 0.95, 10) - 0.5).mean())
    only_first = np.eye(20)[0]
    assert classwise_ece(probability, positive, only_first) == pytest.approx(0.95)


def test_intercept_and_slope_are_those_of_a_logistic_regression() -> None:
    probability, positive = _drawn(600, intercept=0.5, slope=0.7)
    weights = np.random.default_rng(1).integers(0, 3, (3, 600)).astype(float)
    intercepts, slopes = intercept_and_slope(probability, positive, weights)
    log_odds = np.log(probability / (1 - probability))[:, None]
    for row, intercept, slope in zip(weights, intercepts, slopes, strict=True):
        known = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(log_odds, positive, sample_weight=row)
        assert intercept == pytest.approx(known.intercept_[0], abs=1e-4)
        assert slope == pytest.approx(known.coef_[0, 0], abs=1e-4)


def test_calibrated_probabilities_have_slope_one() -> None:
    probability, positive = _drawn(20_000)
    (intercept,), (slope,) = intercept_and_slope(probability, positive, np.ones((1, 20_000)))
    assert intercept == pytest.approx(0, abs=0.05)
    assert slope == pytest.approx(1, abs=0.05)


def test_what_cannot_be_fitted_is_not_a_number() -> None:
    probability = np.linspace(0.1, 0.9, 20)
    ones = np.ones((1, 20))
    for truth in (np.zeros(20, dtype=bool), probability > 0.5):
        intercept, slope = intercept_and_slope(probability, truth, ones)
        assert np.isnan(intercept).all()
        assert np.isnan(slope).all()


def test_the_table_and_its_diagram() -> None:
    side = labelled_logits(predictions(skill=1.0), "test")
    table = class_calibration_table(side, 1.0, resamples=200, seed=1)
    assert len(table) == len(CODES) * len(CLASS_CALIBRATION_METRICS)
    values = table.set_index(["dx", "metric"])["value"]
    # The logits are five times too large, and a temperature of one leaves them so.
    assert (values[:, "slope"] < 0.6).all()
    calmer = class_calibration_table(side, 5.0, resamples=200, seed=1).set_index(["dx", "metric"])["value"]
    assert (calmer[:, "brier"] < values[:, "brier"]).all()
    assert (calmer[:, "ece"].mean()) < values[:, "ece"].mean()
    bins = class_bins(side, 5.0)
    assert bins.groupby("dx")["images"].sum().eq(len(side.labels)).all()
    for code in CODES:
        share = (side.labels == CODES.index(code)).mean()
        of = bins[bins["dx"] == code]
        assert np.average(of["frequency"], weights=of["images"]) == pytest.approx(share)
    assert len([axes for axes in class_calibration_figure(bins).axes if axes.get_visible()]) == len(CODES)
    assert all(f"| {code}" in class_calibration_markdown(table) for code in CODES)


def test_skill_is_nothing_for_who_always_says_the_prevalence() -> None:
    labels = np.repeat(np.arange(7), 10)
    side = LabelledLogits(np.zeros((70, 7)), labels, np.arange(70))
    table = class_calibration_table(side, 1.0, resamples=100, seed=1).set_index(["dx", "metric"])["value"]
    np.testing.assert_allclose(table[:, "brier_skill"], 0, atol=1e-12)
