"""The page on what a run computes again says what was computed, what reused, and how long it took."""

import pandas as pd
import pytest

from derma_assets.automation.reuse_benchmark import COLUMNS, SCENARIOS, Measured, Scenario
from derma_assets.automation.reuse_benchmark_report import (
    Circumstances,
    all_assets,
    asset_table,
    report_markdown,
    run_table,
)


@pytest.fixture
def runs() -> list[Measured]:
    empty, nothing, recipe = (
        next(one for one in SCENARIOS if one.name == name) for name in ("empty", "nothing", "recipe")
    )

    def done(scenario: Scenario, *rows: tuple[str, bool, float]) -> pd.DataFrame:
        return pd.DataFrame([(scenario.name, *row) for row in rows], columns=COLUMNS)

    return [
        Measured(empty, 3.04, done(empty), decoded=0, epochs=0),
        Measured(nothing, 9.5, done(nothing, ("images", False, 1.24), ("model", True, 0.1)), decoded=0, epochs=0),
        Measured(recipe, 99.0, done(recipe, ("images", False, 1.0), ("model", False, 80.0)), decoded=0, epochs=1),
    ]


def test_an_asset_that_was_reused_has_a_dot_and_one_that_was_computed_its_seconds(runs: list[Measured]) -> None:
    table = asset_table(runs)
    assert table.columns.tolist() == ["nothing", "recipe"]
    assert table.loc["images"].tolist() == ["1.2 s", "1.0 s"]
    assert table.loc["model"].tolist() == ["·", "80.0 s"]


def test_a_run_counts_what_it_computed(runs: list[Measured]) -> None:
    table = run_table(runs).set_index("run")
    assert table["seconds"].tolist() == [3.0, 9.5, 99.0]
    assert table["assets computed"].tolist() == [0, 1, 2]
    assert table["assets reused"].tolist() == [0, 1, 0]
    assert table["epochs trained"].tolist() == [0, 0, 1]


def test_the_page_has_both_tables_and_how_to_measure_the_same(runs: list[Measured]) -> None:
    page = report_markdown(runs, Circumstances("make bench-reuse", "2026-01-31", "2 x processor", "sample"))
    assert "`make bench-reuse`" in page
    assert "| model" in page
    assert "80.0 s" in page
    assert len(all_assets(runs)) == 4
