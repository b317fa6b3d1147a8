import dataclasses

import pandas as pd
import pytest

from derma_assets.evaluation.model_card.comparison import comparison_markdown, verdict
from derma_assets.evaluation.published import PUBLISHED
from derma_assets_tests.evaluation.model_card import made_up


def lines() -> dict[str, list[str]]:
    rows = [line.strip("|").split("|") for line in comparison_markdown(made_up.evidence()).splitlines()]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


def test_the_papers_figures_are_quoted_as_published() -> None:
    quoted = {name: cells[0] for name, cells in lines().items()}
    assert quoted["Accuracy"] == "0.820"
    assert quoted["Balanced accuracy"] == "0.75"
    assert quoted["Melanoma ROC-AUC"] == "0.967"
    assert quoted["Actinic keratoses, recall"] == "0.27"
    assert quoted["Model in the bundle, MB"] == "12.8"
    assert {one.name for one in PUBLISHED} <= set(quoted)


def test_ours_are_the_tables() -> None:
    accuracy = made_up.evidence().overall_metrics.set_index("metric").loc["accuracy"]
    assert lines()["Accuracy"][1] == f"{accuracy['value']:.3f} ({accuracy['low']:.3f} to {accuracy['high']:.3f})"
    assert lines()["Model in the bundle, MB"][1] == "3.5 (uint8)"


def test_what_was_aimed_at_is_reached_or_not() -> None:
    overall = made_up.evidence().overall_metrics.set_index("metric")
    for one in PUBLISHED:
        *_, aimed, reached = lines()[one.name]
        assert float(aimed) == one.aimed
        if one.metric in overall.index:
            value, low, high = overall.loc[one.metric]
            better = value <= one.aimed if one.smaller_is_better else value >= one.aimed
            assert reached.startswith("yes" if better else "no")
            assert reached.endswith("inside the interval") == (low <= one.aimed <= high)
    assert lines()["Model in the bundle, MB"][-1] == "yes"


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        ((0.85, 0.8, 0.9), "yes, inside the interval"),
        ((0.9, 0.86, 0.95), "yes"),
        ((0.84, 0.8, 0.9), "no, inside the interval"),
        ((0.8, 0.7, 0.84), "no"),
        ((0.8,), "no"),
    ],
)
def test_a_test_set_may_be_too_small_to_say_whether_an_aim_is_reached(measured: tuple, expected: str) -> None:
    assert PUBLISHED[0].outcome(*measured) == expected


@pytest.mark.parametrize(
    ("published", "expected"),
    [(0.59, "below our interval"), (0.6, "inside our interval"), (0.81, "above our interval")],
)
def test_a_published_figure_lies_beside_the_interval(published: float, expected: str) -> None:
    assert verdict(published, pd.Series({"low": 0.6, "high": 0.8})) == expected


def test_without_an_interval_nothing_is_compared() -> None:
    assert verdict(0.5, pd.Series({"low": float("nan"), "high": float("nan")})) == "not comparable"


def test_generated_pictures_are_not_judged_by_the_paper() -> None:
    chosen = dataclasses.replace(made_up.evidence().chosen, synthetic=True)
    assert "our interval" not in comparison_markdown(dataclasses.replace(made_up.evidence(), chosen=chosen))
