import numpy as np
import pandas as pd
import pytest

from derma_assets.calibration.labelled_logits import LabelledLogits, labelled_logits
from derma_assets.calibration.temperature import softmax
from derma_assets.diagnoses import CODES
from derma_assets.evaluation import selective
from derma_assets.evaluation.uncertainty_figures import risk_coverage_figure
from derma_assets.evaluation.uncertainty_report import REFUSAL_LABELS, selective_markdown
from derma_assets_tests.calibration.made_up import predictions

POINTS = {"melanoma": {"threshold": 0.3}, "referral": {"threshold": 0.1}}
ONCE = np.ones((1, 4))


@pytest.fixture(scope="module")
def side() -> LabelledLogits:
    return labelled_logits(predictions(skill=1.5), "test")


@pytest.fixture(scope="module")
def table(side: LabelledLogits) -> pd.DataFrame:
    return selective.selective_table(labelled_logits(predictions(skill=1.5), "validation"), side, 5.0, POINTS, 100, 1)


def test_area_by_hand() -> None:
    sure = np.array([0.9, 0.8, 0.7, 0.6])
    wrong = np.array([False, True, False, True])
    # Risk among the surest 1, 2, 3, 4 pictures: 0, 1/2, 1/3, 1/2; of the oracle 0, 0, 1/3, 1/2.
    assert selective.area_under_risk_coverage(sure, wrong, ONCE) == pytest.approx([(1 / 2 + 1 / 3 + 1 / 2) / 4])
    assert selective.oracle_area(wrong, ONCE) == pytest.approx([(1 / 3 + 1 / 2) / 4])
    assert selective.area_under_risk_coverage(np.zeros(4), wrong, ONCE) == pytest.approx([0.5]), "equals go together"


def test_pictures_not_drawn_do_not_count() -> None:
    sure = np.array([0.9, 0.8, 0.7, 0.6])
    wrong = np.array([True, False, False, True])
    weights = np.array([[0.0, 1.0, 1.0, 1.0]])
    assert selective.area_under_risk_coverage(sure, wrong, weights) == pytest.approx([1 / 9])


def test_the_surest_are_kept() -> None:
    sure = np.array([0.1, 0.9, 0.5, 0.7])
    np.testing.assert_array_equal(selective.kept_at(sure, 0.5, ONCE), [[0, 1, 0, 1]])
    np.testing.assert_array_equal(selective.kept_at(sure, 1.0, ONCE), ONCE)
    twice = np.array([[1.0, 2.0, 0.0, 1.0]])
    np.testing.assert_array_equal(selective.kept_at(sure, 0.5, twice), [[0, 2, 0, 0]])


@pytest.mark.parametrize(("share", "refused"), [(0.0, 0), (0.1, 0), (0.25, 1), (0.5, 2), (0.74, 2)])
def test_no_more_than_the_share_is_refused(share: float, refused: int) -> None:
    sure = np.array([0.4, 0.8, 0.6, 0.9])
    assert (sure < selective.refusal_threshold(sure, share)).sum() == refused


def test_equal_confidences_are_refused_together_or_not_at_all() -> None:
    assert selective.refusal_threshold(np.array([0.5, 0.5, 0.9, 0.9]), 0.25) == 0.5
    assert selective.refusal_threshold(np.array([0.5, 0.5, 0.9, 0.9]), 0.5) == pytest.approx(0.7)


def test_full_coverage_is_the_whole_side(table: pd.DataFrame, side: LabelledLogits) -> None:
    rows = table[(table["part"] == "curve") & (table["name"] == "1.00") & (table["metric"] == "risk")]
    assert len(rows) == len(selective.CONFIDENCES)
    assert rows["value"].to_numpy() == pytest.approx((side.logits.argmax(axis=1) != side.labels).mean())


def test_refusal_is_measured_on_test_with_the_threshold_of_validation(
    table: pd.DataFrame, side: LabelledLogits
) -> None:
    validation = softmax(labelled_logits(predictions(skill=1.5), "validation").logits, 5.0).max(axis=1)
    of = table[table["part"] == "refusal"].set_index(["name", "metric"])["value"]
    threshold = of["after", "threshold"]
    assert 0 < (validation < threshold).mean() <= selective.REFUSED_SHARE
    probabilities = softmax(side.logits, 5.0)
    kept = probabilities.max(axis=1) >= threshold
    right = probabilities.argmax(axis=1) == side.labels
    assert of["after", "coverage"] == pytest.approx(kept.mean())
    assert of["after", "accuracy"] == pytest.approx(right[kept].mean())
    assert of["difference", "accuracy"] == pytest.approx(right[kept].mean() - right.mean())
    melanoma = side.labels == CODES.index("mel")
    uncalled = probabilities[:, CODES.index("mel")] < 0.3
    assert of["before", "melanoma_missed"] == pytest.approx(uncalled[melanoma].mean())
    assert of["after", "melanoma_missed"] == pytest.approx((uncalled & kept)[melanoma].mean())
    refused = table[table["part"] == "refused_by_diagnosis"].set_index("name")["value"]
    assert refused["nv"] == pytest.approx(1 - kept[side.labels == CODES.index("nv")].mean())


def test_refusing_can_only_take_from_the_missed(table: pd.DataFrame) -> None:
    difference = table[(table["name"] == "difference") & table["metric"].str.endswith("_missed")]
    assert len(difference) == 2
    assert (difference[["value", "low", "high"]] <= 0).all(axis=None)


def test_excess_area_is_never_negative(table: pd.DataFrame) -> None:
    excess = table[table["metric"] == "excess_aurc"]
    assert (excess["low"] >= 0).all()


def test_the_report_and_the_figure_show_it(table: pd.DataFrame) -> None:
    text = selective_markdown(table)
    assert all(label in text for label in REFUSAL_LABELS.values())
    assert "Refused most" in text
    assert len(risk_coverage_figure(table).axes) == 4
