"""With which code, packages, recipe and data a card was made."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from derma_assets.errors import InputError
from derma_assets.evaluation.model_card.__main__ import where
from derma_assets.evaluation.model_card.evidence import Made
from derma_assets.evaluation.model_card.model_facts import model_facts, training_of
from derma_assets.evaluation.model_card.provenance import PACKAGES, file_times, git_commit, package_versions
from derma_assets.evaluation.model_card.sources import Sources
from derma_assets.settings import Settings
from derma_assets.storage.fingerprint import fingerprint_arrays
from derma_assets.training.recipe import DEFAULT, SAMPLE
from derma_assets_tests import small_study

MADE = Made(datetime(2026, 1, 31, 12, 30, tzinfo=UTC))


def _git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=Someone", "-c", "user.email=someone@example.org")
    run = subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True, text=True)
    return run.stdout.strip()


def test_the_commit_is_that_of_the_checkout_and_changes_are_told(tmp_path: Path) -> None:
    _git(tmp_path, "init")
    (tmp_path / "file").write_text("one")
    _git(tmp_path, "add", "file")
    _git(tmp_path, "commit", "-m", "first")
    commit = f"`{_git(tmp_path, 'rev-parse', 'HEAD')}`"
    assert git_commit(tmp_path) == commit
    (tmp_path / "new").write_text("not tracked")
    assert git_commit(tmp_path) == commit
    (tmp_path / "file").write_text("two")
    assert git_commit(tmp_path) == f"{commit}, with uncommitted changes"


def test_a_folder_in_somebodys_repository_has_no_commit_of_its_own(tmp_path: Path) -> None:
    _git(tmp_path, "init")
    (tmp_path / "site-packages").mkdir()
    assert git_commit(tmp_path / "site-packages") == "not known: not run from a git checkout"


def test_packages_have_versions() -> None:
    assert set(package_versions()) == set(PACKAGES)
    assert package_versions()["keras"].startswith("3.")


def test_files_tell_when_they_were_stored(tmp_path: Path) -> None:
    (tmp_path / "overall_metrics.parquet").write_bytes(b"")
    (tmp_path / "tfjs_bundle").mkdir()
    at = MADE.at.timestamp()
    os.utime(tmp_path / "overall_metrics.parquet", (at, at))
    found = file_times(tmp_path, ["overall_metrics", "tfjs_bundle", "missing"])
    assert found["overall_metrics"] == MADE
    assert set(found) == {"overall_metrics", "tfjs_bundle"}


def test_sources_are_named_with_date_and_command() -> None:
    sources = Sources({"overall_metrics": MADE}, "ham10000")
    assert sources.said_of(()) == ""
    assert sources.said_of(("overall_metrics",)) == (
        "From `overall_metrics` of 2026-01-31 12:30 UTC; "
        "`DERMA_DATASET=ham10000 make materialize SELECT='overall_metrics'`"
    )
    assert sources.command("external_validation/isic") == "DERMA_DATASET=ham10000 make external NAME=isic"
    assert sources.command("cross_validation_summary") == "DERMA_DATASET=ham10000 make folds"


def test_the_models_facts_are_read_from_the_model() -> None:
    model = small_study.model()
    facts = model_facts(model)
    assert facts.fingerprint == fingerprint_arrays(model.get_weights())
    assert facts.input_size == small_study.SIZE
    assert facts.parameters == model.count_params()
    assert 0 < facts.trained_parameters < facts.parameters
    assert facts.alpha == 0.25


def test_the_recipe_is_the_recorded_one_and_folders_are_nobodys_business() -> None:
    chosen = Settings(dataset="sample")
    record = {"recipe": DEFAULT.model_dump(), "backbone": {"weights": "/home/someone/mobilenet.h5"}}
    training = training_of(chosen, record)
    assert (training.recipe, training.weights, training.recorded) == (DEFAULT, "mobilenet.h5", True)
    record["backbone"]["origin"] = {"name": "mobilenet.h5", "sha256": "0123456789abcdef" * 4}
    assert training_of(chosen, record).weights == "the file mobilenet.h5 (SHA-256 0123456789abcdef)"
    today = training_of(chosen, None)
    assert (today.recipe, today.weights, today.recorded) == (SAMPLE, "random", False)


def test_where_the_card_is(tmp_path: Path) -> None:
    chosen = Settings(dataset="sample", data_dir=tmp_path)
    with pytest.raises(InputError, match="model_card has not been stored yet"):
        where(chosen)
    folder = chosen.store / "model_card"
    folder.mkdir(parents=True)
    (folder / "model_card.html").write_text("")
    assert str(folder / "model_card.html") in where(chosen)
    assert str(folder / "model_card.md") in where(chosen)
