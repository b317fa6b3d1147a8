import numpy as np
import pytest

from derma_assets.calibration.labelled_logits import LabelledLogits, labelled_logits
from derma_assets.calibration.summary import scored
from derma_assets.evaluation.decision_curve import (
    STRATEGIES,
    THRESHOLDS,
    decision_curve_table,
    net_benefit,
    shifted,
    useful_range,
)
from derma_assets.evaluation.uncertainty_figures import decision_curve_figure
from derma_assets.evaluation.uncertainty_report import decision_curve_markdown
from derma_assets_tests.calibration.made_up import predictions

PREVALENCE = 3 / 7


@pytest.fixture(scope="module")
def test_side() -> LabelledLogits:
    return labelled_logits(predictions(skill=2.0), "test")


def test_net_benefit_by_hand() -> None:
    # Of 100 people 20 are ill; 15 of them and 8 of the others are referred; one needless referral costs a quarter.
    found = net_benefit(np.array(15 / 20), np.array(72 / 80), np.array(0.2), odds=0.25)
    assert found == pytest.approx((15 - 8 * 0.25) / 100)


def test_probabilities_move_with_the_prevalence() -> None:
    assert shifted(np.array([0.5]), 0.5, 0.1) == pytest.approx([0.1])
    np.testing.assert_allclose(shifted(np.array([0.0, 0.3, 1.0]), 0.2, 0.2), [0, 0.3, 1])
    # Odds of 1 among equal numbers become odds of 1/99 among one in a hundred.
    assert shifted(np.array([0.8]), 0.5, 0.01) == pytest.approx([4 / 99 / (1 + 4 / 99)])


def test_the_curve_is_the_counts_of_the_pictures(test_side: LabelledLogits) -> None:
    table = decision_curve_table(test_side, 5.0, PREVALENCE, 0.05, resamples=100, seed=1)
    values = table.set_index(["setting", "threshold", "strategy"])["value"]
    probability, malignant = scored(test_side, 5.0, "referral")
    for threshold in (0.05, 0.5):
        called, odds = probability >= threshold, threshold / (1 - threshold)
        expected = ((called & malignant).sum() - odds * (called & ~malignant).sum()) / len(called)
        assert values["data", threshold, "model"] == pytest.approx(expected)
        everyone = malignant.mean() - odds * (1 - malignant.mean())
        assert values["data", threshold, "everyone"] == pytest.approx(everyone)
        assert values["data", threshold, "gain"] == pytest.approx(expected - max(everyone, 0))
    assert values["clinic", 0.1, "everyone"] == pytest.approx(0.05 - 0.95 / 9)
    assert len(table) == 2 * len(THRESHOLDS) * len(STRATEGIES)
    assert set(table["prevalence"].round(6)) == {0.05, round(float(malignant.mean()), 6)}


def test_at_the_same_prevalence_the_clinic_is_the_data(test_side: LabelledLogits) -> None:
    share = float(scored(test_side, 5.0, "referral")[1].mean())
    table = decision_curve_table(test_side, 5.0, share, share, resamples=100, seed=1)
    values = table.set_index(["threshold", "setting"])
    model = values[values["strategy"] == "model"]["value"].unstack("setting")
    np.testing.assert_allclose(model["data"], model["clinic"], atol=1e-12)


def test_where_a_model_is_of_use(test_side: LabelledLogits) -> None:
    good = decision_curve_table(test_side, 5.0, PREVALENCE, 0.05, resamples=200, seed=1)
    low, high = useful_range(good, "data") or (1.0, 0.0)
    assert low < 0.3 < high
    chance = LabelledLogits(np.random.default_rng(0).permutation(test_side.logits), test_side.labels, test_side.lesions)
    useless = decision_curve_table(chance, 5.0, PREVALENCE, 0.05, resamples=200, seed=1)
    assert useful_range(useless, "data") is None
    assert "at no threshold" in decision_curve_markdown(useless)
    text = decision_curve_markdown(good)
    assert "5.0 % malignant" in text
    assert text.count("\n| ") == 2 * 6, "a row for each setting and threshold"
    assert len(decision_curve_figure(good, 0.2).axes) == 2
