import numpy as np
import pandas as pd
import pytest

from derma_assets.calibration.labelled_logits import LabelledLogits, labelled_logits
from derma_assets.diagnoses import CODES
from derma_assets.evaluation import tables
from derma_assets.evaluation.selective import (
    COVERAGES,
    area_under_risk_coverage,
    certainties,
    least_area,
    refusal_table,
    refusal_threshold,
    risk_coverage_table,
    risks,
)
from derma_assets.evaluation.uncertainty_figures import risk_coverage_figure
from derma_assets.evaluation.uncertainty_report import refusal_of_uncertain_markdown, risk_coverage_markdown
from derma_assets_tests.calibration.made_up import predictions

POINTS = {"melanoma": {"threshold": 0.3}, "referral": {"threshold": 0.2}}


@pytest.fixture(scope="module")
def test_side() -> LabelledLogits:
    return labelled_logits(predictions(skill=1.5), "test")


def test_the_curve_by_hand() -> None:
    certainty = np.array([0.9, 0.5, 0.8, 0.6])
    wrong = np.array([False, True, False, True])
    # From the most certain: right, right, wrong, wrong; the third counts double.
    coverage, risk = risks(certainty, wrong, np.array([1.0, 1.0, 1.0, 2.0]))
    np.testing.assert_allclose(coverage, [0.2, 0.4, 0.8, 1.0])
    np.testing.assert_allclose(risk, [0, 0, 0.5, 0.6])
    area = area_under_risk_coverage(certainty, wrong, np.array([1.0, 1.0, 1.0, 2.0]))
    assert area == pytest.approx(0.2 * 0 + 0.2 * 0 + 0.4 * 0.5 + 0.2 * 0.6)


def test_many_weights_are_as_many_single_ones() -> None:
    draw = np.random.default_rng(0)
    certainty, wrong, weights = draw.random(50), draw.random(50) < 0.3, draw.integers(0, 4, (6, 50)).astype(float)
    together = area_under_risk_coverage(certainty, wrong, weights)
    # A picture drawn three times is three pictures.
    for row, found in zip(weights.astype(int), together, strict=True):
        one = area_under_risk_coverage(np.repeat(certainty, row), np.repeat(wrong, row), np.ones(row.sum()))
        assert found == pytest.approx(one, abs=0.02)


def test_an_oracle_has_no_excess_and_chance_has_the_error_everywhere() -> None:
    wrong = np.arange(4000) % 5 == 0
    ones = np.ones(len(wrong))
    oracle = area_under_risk_coverage(-wrong.astype(float), wrong, ones)
    assert oracle == pytest.approx(least_area(np.array(0.2)), abs=1e-3)
    chance = area_under_risk_coverage(np.random.default_rng(1).random(len(wrong)), wrong, ones)
    assert chance == pytest.approx(0.2, abs=0.02)
    assert least_area(np.array([0.0, 1.0])) == pytest.approx([0, 1])


def test_three_measures_of_certainty() -> None:
    found = certainties(np.array([[0.7, 0.2, 0.1, 0, 0, 0, 0], [1 / 7] * 7]))
    assert found["probability"] == pytest.approx([0.7, 1 / 7])
    assert found["margin"] == pytest.approx([0.5, 0])
    assert found["entropy"] == pytest.approx([0.7 * np.log(0.7) + 0.2 * np.log(0.2) + 0.1 * np.log(0.1), -np.log(7)])


def test_all_answered_is_the_error_and_less_is_safer(test_side: LabelledLogits) -> None:
    table = risk_coverage_table(test_side, 5.0, resamples=200, seed=1)
    risk = table[table["metric"] == "risk"].set_index(["certainty", "coverage"])["value"]
    wrong = (test_side.logits.argmax(axis=1) != test_side.labels).mean()
    for certainty in ("probability", "margin", "entropy"):
        assert risk[certainty, 1.0] == pytest.approx(wrong)
        assert risk[certainty, 0.3] < wrong
    assert len(risk) == 3 * len(COVERAGES)
    areas = table[table["metric"] == "excess_aurc"]
    assert (areas["value"] > 0).all()
    assert (areas["low"] <= areas["value"]).all()
    assert (areas["value"] <= areas["high"]).all()
    assert "mean risk (AURC)" in risk_coverage_markdown(table)
    assert len(risk_coverage_figure(table).axes[0].lines) == 3


def test_the_threshold_refuses_a_tenth_of_the_pictures_it_is_chosen_on() -> None:
    validation = labelled_logits(predictions(skill=1.5), "validation")
    threshold = refusal_threshold(validation, 5.0)
    table = refusal_table(validation, 5.0, POINTS, threshold, resamples=100, seed=1)
    refused = table.set_index(["metric", "pictures"])["value"]["refused", "all"]
    assert refused == pytest.approx(0.1, abs=1 / len(validation.labels))


def test_what_refusing_buys_is_the_difference_between_the_answered_and_all(test_side: LabelledLogits) -> None:
    table = refusal_table(test_side, 5.0, POINTS, 0.4, resamples=200, seed=1)
    values = table.set_index(["metric", "pictures"])["value"]
    overall = tables.overall_table(test_side, 5.0, POINTS, 100, 1).set_index("metric")["value"]
    for metric in ("accuracy", "balanced_accuracy", "macro_f1", "melanoma_sensitivity", "referral_specificity"):
        assert values[metric, "all"] == pytest.approx(overall[metric])
        assert values[metric, "gain"] == pytest.approx(values[metric, "answered"] - values[metric, "all"])
    probabilities = np.exp(test_side.logits / 5)
    certain = (probabilities / probabilities.sum(axis=1, keepdims=True)).max(axis=1) >= 0.4
    right = test_side.logits.argmax(axis=1) == test_side.labels
    assert values["accuracy", "answered"] == pytest.approx(right[certain].mean())
    for index, code in enumerate(CODES):
        assert values[f"refused_{code}", "all"] == pytest.approx(1 - certain[test_side.labels == index].mean())
    text = refusal_of_uncertain_markdown(table)
    assert all(code in text for code in CODES)
    assert "melanoma sensitivity" in text


def test_refusing_everything_answers_nothing(test_side: LabelledLogits) -> None:
    table = refusal_table(test_side, 5.0, POINTS, 1.1, resamples=100, seed=1)
    answered = table[table["pictures"] == "answered"]
    assert answered["value"].isna().all()
    assert pd.isna(answered["low"]).all()
    assert "n/a" in refusal_of_uncertain_markdown(table)
