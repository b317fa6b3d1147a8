import numpy as np
import pandas as pd
import pytest

from derma_assets.calibration.labelled_logits import LabelledLogits, labelled_logits
from derma_assets.calibration.summary import scored
from derma_assets.evaluation import decision_curve
from derma_assets.evaluation.decision_curve import corrected_for_prevalence, net_benefit
from derma_assets.evaluation.uncertainty_figures import decision_figure
from derma_assets.evaluation.uncertainty_report import decision_markdown
from derma_assets_tests.calibration.made_up import predictions


@pytest.fixture(scope="module")
def side() -> LabelledLogits:
    return labelled_logits(predictions(), "test")


@pytest.fixture(scope="module")
def table(side: LabelledLogits) -> pd.DataFrame:
    validation = labelled_logits(predictions(), "validation")
    return decision_curve.decision_table(validation, side, 5.0, 0.02, 0.123, 100, 1)


def value_of(table: pd.DataFrame, population: str, strategy: str, metric: str, threshold: float) -> float:
    row = table.query("population == @population and strategy == @strategy and metric == @metric")
    return float(row.loc[np.isclose(row["threshold"], threshold), "value"].iloc[0])


def test_net_benefit_by_hand() -> None:
    # 8 of 10 ill and 20 of 90 healthy called, at 20 %: 8 / 100 - 20 / 100 x 0.25.
    assert net_benefit(np.array(0.8), np.array(20 / 90), 0.1, np.array(0.2)) == pytest.approx(0.03)
    assert net_benefit(np.array(1.0), np.array(1.0), 0.1, np.array(0.1)) == pytest.approx(0), "all, at the prevalence"


def test_correction_for_prevalence() -> None:
    assert corrected_for_prevalence(np.array(0.2), 0.2, 0.02) == pytest.approx(0.02), "the mean stays the mean"
    there = corrected_for_prevalence(np.array([0.0, 0.3, 1.0]), 0.2, 0.02)
    assert corrected_for_prevalence(there, 0.02, 0.2) == pytest.approx([0.0, 0.3, 1.0])


def test_the_models_benefit_is_counted_on_test(table: pd.DataFrame, side: LabelledLogits) -> None:
    score, malignant = scored(side, 5.0, "referral")
    called = score >= 0.2
    hits, false_alarms = (called & malignant).mean(), (called & ~malignant).mean()
    expected = hits - false_alarms * 0.25
    assert value_of(table, "data_set", "model", "net_benefit", 0.2) == pytest.approx(expected)
    assert value_of(table, "data_set", "model", "standardised_net_benefit", 0.2) == pytest.approx(
        expected / malignant.mean()
    )
    for_all = malignant.mean() - (1 - malignant.mean()) * 0.25
    assert value_of(table, "data_set", "refer_all", "net_benefit", 0.2) == pytest.approx(for_all)
    assert value_of(table, "data_set", "gain", "net_benefit", 0.2) == pytest.approx(expected - max(for_all, 0))
    assert value_of(table, "data_set", "model", "avoided_per_100", 0.2) == pytest.approx(100 * (expected - for_all) * 4)


def test_a_clinic_has_its_own_prevalence(table: pd.DataFrame, side: LabelledLogits) -> None:
    score, malignant = scored(side, 5.0, "referral")
    called = score >= 0.05
    expected = 0.02 * called[malignant].mean() - 0.98 * called[~malignant].mean() * 0.05 / 0.95
    assert value_of(table, "clinic", "model", "net_benefit", 0.05) == pytest.approx(expected)
    assert value_of(table, "clinic", "refer_all", "net_benefit", 0.02) == pytest.approx(0, abs=1e-12)


def test_the_referral_is_the_same_rule_at_either_prevalence(table: pd.DataFrame) -> None:
    marked = table[table["operating_point"]].groupby("population")["threshold"].unique()
    assert marked["data_set"].tolist() == [0.123]
    (moved,) = marked["clinic_corrected"].tolist()
    prevalence = scored(labelled_logits(predictions(), "validation"), 5.0, "referral")[1].mean()
    assert moved == pytest.approx(float(corrected_for_prevalence(np.array(0.123), prevalence, 0.02)))


def test_no_strategy_beats_one_that_sees_the_truth(table: pd.DataFrame) -> None:
    standardised = table.loc[table["metric"] == "standardised_net_benefit", "high"]
    assert (standardised <= 1 + 1e-9).all()


def test_useful_range() -> None:
    rows = [("data_set", "gain", cut, "net_benefit", low) for cut, low in ((0.1, -1.0), (0.2, 0.1), (0.3, 0.2))]
    table = pd.DataFrame(rows, columns=["population", "strategy", "threshold", "metric", "low"])
    assert decision_curve.useful_range(table) == (0.2, 0.3)
    assert decision_curve.useful_range(table.assign(low=0.0)) is None


def test_a_useful_range_has_no_gap() -> None:
    lows = {0.05: 0.1, 0.1: -0.01, 0.2: 0.1, 0.3: 0.2, 0.4: 0.1, 0.5: -0.1, 0.6: 0.3}
    rows = [("data_set", "gain", cut, "net_benefit", low) for cut, low in lows.items()]
    table = pd.DataFrame(rows, columns=["population", "strategy", "threshold", "metric", "low"])
    assert decision_curve.useful_range(table.sample(frac=1, random_state=1)) == (0.2, 0.4)


def test_the_report_and_the_figure_show_it(table: pd.DataFrame) -> None:
    text = decision_markdown(table)
    assert "0.123 (the app's referral)" in text
    assert text.count("\n") == 2 + len({0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5}) + 1, "a header, and nine thresholds"
    assert len(decision_figure(table, 0.02).axes) == 2
