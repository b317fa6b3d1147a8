"""What is studied beside the graph is in the card if it is there, and missing without a word of it if not."""

import dataclasses
import os
from pathlib import Path

import pandas as pd
import pytest

from derma_assets.evaluation.model_card.blocks import Picture, Section, keys
from derma_assets.evaluation.model_card.evidence import Evidence, Studies
from derma_assets.evaluation.model_card.gather import stored_studies
from derma_assets.evaluation.model_card.groups import external
from derma_assets.evaluation.model_card.training import selection, trials_markdown
from derma_assets.evaluation.model_card.wording import cell, in_hundred, literal, row_of
from derma_assets.storage.paths import stored_partition, stored_path
from derma_assets_tests.evaluation.model_card import made_up

EXTERNAL = pd.DataFrame(
    [
        ("overall", "", "accuracy", 0.6, 0.5, 0.7, 20, 20),
        ("per_class", "melanoma", "recall", 0.4, 0.2, 0.6, 5, 5),
        ("confusion", "melanoma", "melanoma", 2.0, None, None, None, None),
        ("confusion", "nevus", "melanoma", 3.0, None, None, None, None),
        ("refused", "", "share", 0.1, 0.05, 0.2, 20, 20),
        ("left_out", "", "no class is given", 4.0, None, None, None, None),
    ],
    columns=["section", "class", "metric", "value", "low", "high", "images", "lesions"],
)
FOLDS = pd.DataFrame({"metric": ["accuracy"], "mean": [0.81], "sd": [0.012], "lowest": [0.79], "highest": [0.83]})
LOOKS = "date,model,what,why\n2026-01-02,first,every table,first figures\n2026-02-03,second,refusals,again\n"


def said(section: Section) -> str:
    """Return the text and tables of a section and its parts."""
    own = [block.markdown for block in section.blocks if not isinstance(block, Picture)]
    return "\n".join([*own, *map(said, section.parts)])


def with_studies(studies: Studies) -> Evidence:
    return dataclasses.replace(made_up.evidence(), studies=studies)


def test_without_any_the_sections_are_left_out() -> None:
    assert {"selection-trials", "selection-looks"}.isdisjoint(keys(made_up.card()))
    assert "Not run" in said(selection(made_up.evidence()))
    assert "Not run" in said(external(made_up.evidence()))


def test_trials_of_any_columns_are_shown() -> None:
    trials = pd.DataFrame({"trial": ["base", "longer"], "accuracy": ["0.801", "0.812"]})
    text = said(selection(with_studies(Studies(trials=trials))))
    assert "| base    | 0.801      |" in text
    assert trials_markdown(trials) in text


def test_looks_at_test_are_counted_and_shown(tmp_path: Path) -> None:
    (tmp_path / "looks.csv").write_text(LOOKS)
    studies = stored_studies(tmp_path, False, tmp_path / "no_trials.csv", tmp_path / "looks.csv")
    text = said(selection(with_studies(studies)))
    assert "2 times, by the record" in text
    assert "first figures" in text
    assert studies.trials is None


def test_of_the_sample_no_trials_are_told(tmp_path: Path) -> None:
    (tmp_path / "looks.csv").write_text(LOOKS)
    assert stored_studies(tmp_path, True, tmp_path / "looks.csv", tmp_path / "looks.csv") == Studies()


def test_cross_validation_has_mean_and_standard_deviation(tmp_path: Path) -> None:
    FOLDS.assign(folds=5).to_parquet(stored_path(tmp_path, "cross_validation_summary", "table"))
    studies = stored_studies(tmp_path, True)
    text = said(selection(with_studies(studies)))
    assert "Accuracy" in text
    assert "0.810" in text
    assert "0.012" in text


@pytest.mark.parametrize(("model_age", "older"), [(10, False), (-10, True)])
def test_external_results_older_than_the_model_say_so(tmp_path: Path, model_age: int, older: bool) -> None:
    path = stored_partition(tmp_path, "external_validation", "other_clinic", "table")
    path.parent.mkdir()
    EXTERNAL.to_parquet(path)
    model = stored_path(tmp_path, "trained_model", "keras_model")
    model.write_bytes(b"")
    time = path.stat().st_mtime - model_age
    os.utime(model, (time, time))
    studies = stored_studies(tmp_path, True)
    assert list(studies.external) == ["other_clinic"]
    text = said(external(with_studies(studies)))
    assert "0.600 (0.500 to 0.700)" in text
    assert "Left out: 4 no class is given." in text
    assert ("Stored before the model was" in text) == older


def test_a_share_in_a_hundred_by_hand() -> None:
    row = pd.Series({"value": 0.926, "low": 0.879, "high": 0.966})
    assert in_hundred(row) == "93 of 100 (88 to 97)"
    assert in_hundred(row, missed=True) == "7 of 100 (3 to 12)"
    assert in_hundred(pd.Series({"value": float("nan"), "low": 0.0, "high": 1.0})) == "an unknown number of 100"


def test_a_cell_is_of_exactly_one_row() -> None:
    table = pd.DataFrame({"metric": ["a", "a", "b"], "value": 0.5, "low": 0.4, "high": 0.6})
    assert cell(table, metric="b") == "0.500 (0.400 to 0.600)"
    for metric in ("a", "c"):
        with pytest.raises(KeyError):
            row_of(table, metric=metric)


def test_literal_text_is_one_line_without_markdown() -> None:
    assert literal("a|b\n*c*") == r"a\|b \*c\*"
