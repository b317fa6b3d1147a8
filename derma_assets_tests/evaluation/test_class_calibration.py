import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from derma_assets.calibration.labelled_logits import LabelledLogits, labelled_logits
from derma_assets.calibration.temperature import softmax
from derma_assets.diagnoses import CODES
from derma_assets.evaluation.class_calibration import (
    CLASS_CALIBRATION_METRICS,
    EqualMassBins,
    class_calibration_table,
    one_against_rest,
    recalibration,
)
from derma_assets.evaluation.uncertainty_figures import class_calibration_figure
from derma_assets.evaluation.uncertainty_report import class_calibration_markdown
from derma_assets_tests.calibration.made_up import predictions


@pytest.fixture(scope="module")
def side() -> LabelledLogits:
    return labelled_logits(predictions(skill=1.5), "test")


@pytest.fixture(scope="module")
def table(side: LabelledLogits) -> pd.DataFrame:
    return class_calibration_table(side, 5.0, 100, 1)


def test_bins_hold_equally_many_and_never_part_equals() -> None:
    counts = EqualMassBins.of(np.linspace(0, 1, 100), 10).members.sum(axis=0)
    assert counts.sum() == 100
    assert counts.min() >= 9
    tied = EqualMassBins.of(np.array([0.0] * 60 + [0.5] * 40), 10).members
    np.testing.assert_array_equal(tied.sum(axis=0), [60, 40])


def test_log_odds_are_those_of_the_probability(side: LabelledLogits) -> None:
    for index in range(len(CODES)):
        expected = softmax(side.logits, 5.0)[:, index]
        assert expit(one_against_rest(side.logits, index, 5.0)) == pytest.approx(expected)


def test_recalibration_is_logistic_regression() -> None:
    draw = np.random.default_rng(0)
    log_odds = draw.normal(size=400) * 2
    positive = draw.random(400) < expit(0.5 + 0.7 * log_odds)
    weights = np.stack([np.ones(400), draw.integers(0, 4, 400)]).astype(float)
    intercept, slope = recalibration(log_odds, positive, weights)
    for row, of_row in enumerate(weights):
        fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(log_odds[:, None], positive, sample_weight=of_row)
        assert slope[row] == pytest.approx(fitted.coef_[0, 0], abs=1e-4)
        # With the slope held at 1, the expected number of positives is the observed one.
        assert of_row @ expit(intercept[row] + log_odds) == pytest.approx(of_row @ positive)


def test_too_extreme_probabilities_have_a_slope_below_one() -> None:
    draw = np.random.default_rng(1)
    truth = draw.normal(size=40000)
    positive = draw.random(40000) < expit(truth)
    intercept, slope = recalibration(2 * truth, positive, np.ones((1, 40000)))
    assert slope == pytest.approx([0.5], abs=0.05)
    assert intercept == pytest.approx([0], abs=0.1)


def test_without_a_maximum_there_is_no_number() -> None:
    log_odds = np.linspace(-3, 3, 50)
    intercept, slope = recalibration(log_odds, log_odds > 0, np.ones((1, 50)))
    assert np.isfinite(intercept).all()
    assert np.isnan(slope).all(), "the classes do not overlap"
    nobody = recalibration(log_odds, np.zeros(50, dtype=bool), np.ones((1, 50)))
    assert np.isnan(nobody).all()


def test_scores_of_each_class(table: pd.DataFrame, side: LabelledLogits) -> None:
    probabilities = softmax(side.logits, 5.0)
    for index, code in enumerate(CODES):
        of = table[(table["dx"] == code) & (table["bin"] < 0)].set_index("metric")["value"]
        assert list(of.index) == list(CLASS_CALIBRATION_METRICS)
        positive = side.labels == index
        brier = sklearn.metrics.brier_score_loss(positive, probabilities[:, index])
        assert of["brier"] == pytest.approx(brier)
        assert of["brier_skill"] == pytest.approx(1 - brier / (positive.mean() * (1 - positive.mean())))
        # Murphy's three terms leave out what varies within bins, which is little.
        decomposed = of["brier_reliability"] - of["brier_resolution"] + of["brier_uncertainty"]
        assert decomposed == pytest.approx(brier, abs=0.02)


def test_calibration_error_is_the_mean_gap_of_the_bins(table: pd.DataFrame, side: LabelledLogits) -> None:
    for code in CODES:
        of_class = table[table["dx"] == code]
        bins = of_class[of_class["metric"] == "observed"]
        assert bins["images"].sum() == len(side.labels)
        expected = np.average((bins["value"] - bins["probability"]).abs(), weights=bins["images"])
        assert of_class.loc[of_class["metric"] == "ece", "value"].item() == pytest.approx(expected)


def test_the_report_and_the_figure_show_it(table: pd.DataFrame) -> None:
    text = class_calibration_markdown(table)
    assert all(f"({code})" in text for code in CODES)
    assert len(class_calibration_figure(table).axes) == 8
