"""The page on what a run computes again says what was computed, what reused, and how long it took."""

from pathlib import Path

import pandas as pd
import pytest

from derma_assets.automation.reuse_benchmark import COLUMNS, SCENARIOS, Measured, Scenario
from derma_assets.automation.reuse_benchmark_report import (
    COMMAND,
    Circumstances,
    all_assets,
    asset_table,
    run_table,
    tables_markdown,
    with_earlier,
    write_down,
)
from derma_assets.written_blocks import with_blocks

ROOT = Path(__file__).parent.parent.parent


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
    table = asset_table(all_assets(runs))
    assert table.columns.tolist() == ["nothing", "recipe"]
    assert table.loc["images"].tolist() == ["1.2 s", "1.0 s"]
    assert table.loc["model"].tolist() == ["·", "80.0 s"]


def test_a_run_counts_what_it_computed(runs: list[Measured]) -> None:
    table = run_table(runs).set_index("run")
    assert table["seconds"].tolist() == [3.0, 9.5, 99.0]
    assert table["assets computed"].tolist() == [0, 1, 2]
    assert table["assets reused"].tolist() == [0, 1, 0]
    assert table["epochs trained"].tolist() == [0, 0, 1]


def test_what_is_written_has_both_tables_and_how_to_measure_the_same(runs: list[Measured], tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("Before.\n<!-- BEGIN reuse, written by `make bench-reuse` -->\nold\n<!-- END reuse -->\nAfter.\n")
    on = Circumstances("make bench-reuse DERMA_DATASET=sample", "2026-01-31", "2 x processor", "sample")
    write_down(run_table(runs), all_assets(runs), on, tmp_path / "docs", readme)
    page = (tmp_path / "docs" / "reuse.md").read_text()
    assert "`make bench-reuse DERMA_DATASET=sample`" in page
    for text in (page, readme.read_text()):
        assert "| model" in text
        assert "80.0 s" in text
        assert "99" in text
    assert readme.read_text().startswith("Before.\n")
    assert readme.read_text().endswith("-->\nAfter.\n")
    assert "old" not in readme.read_text()
    assert len(pd.read_csv(tmp_path / "docs" / "reuse.csv")) == 4


def test_a_run_that_is_measured_again_takes_its_own_place(runs: list[Measured], tmp_path: Path) -> None:
    run_table(runs).to_csv(tmp_path / "runs.csv", index=False)
    faster = run_table([Measured(runs[1].scenario, 8.0, runs[1].assets, decoded=0, epochs=0)])
    both = with_earlier(faster, tmp_path / "runs.csv", "run")
    assert both["run"].tolist() == ["empty", "nothing", "recipe"]
    assert both["seconds"].tolist() == [3.0, 8.0, 99.0]
    assert with_earlier(faster, tmp_path / "none.csv", "run")["run"].tolist() == ["nothing"]


def test_the_readme_has_what_was_measured() -> None:
    runs, assets = (pd.read_csv(ROOT / "docs" / name) for name in ("reuse_runs.csv", "reuse.csv"))
    readme = (ROOT / "README.md").read_text()
    assert with_blocks(readme, COMMAND, {"reuse": lambda: tables_markdown(runs, assets)}) == readme


def test_what_was_measured_is_what_was_aimed_at() -> None:
    runs = pd.read_csv(ROOT / "docs" / "reuse_runs.csv").set_index("run")
    assets = pd.read_csv(ROOT / "docs" / "reuse.csv")
    computed = assets[~assets["reused"]].groupby("scenario")["asset"].agg(set)
    assert runs["pictures decoded"].drop("picture").eq(0).all()
    assert runs.loc["picture", "pictures decoded"] == 1
    assert runs["epochs trained"].to_dict() == {**dict.fromkeys(runs.index, 0), "recipe": 1}
    assert computed["docstring"] == computed["nothing"]
    for scenario, below, not_computed in (
        ("threshold", "operating_points", "trained_model"),
        ("recipe", "trained_model", "image_arrays"),
        ("picture", "raw_images", "trained_model"),
    ):
        assert below in computed[scenario], scenario
        assert not_computed not in computed[scenario], scenario
    assert not {"trained_model", "tfjs_model", "image_arrays"} & computed["nothing"]
