"""What a person at the console is told when something outside the code is wrong."""

from pathlib import Path

import pytest

from derma_assets_tests.running import command, environment, materialize, said


def test_an_asset_whose_input_was_never_stored_says_what_to_run(tmp_path: Path) -> None:
    run = materialize("calibrated_temperature", environment(tmp_path))
    assert run.returncode != 0
    assert "predictions has not been stored yet" in said(run)
    assert "dagster asset materialize -m derma_assets.definitions --select '*predictions'" in said(run)


def test_a_missing_data_folder_is_named(tmp_path: Path) -> None:
    env = environment(tmp_path, DERMA_DATASET="ham10000", DERMA_HAM10000_DIR=str(tmp_path / "nowhere"))
    run = materialize("raw_metadata", env)
    assert run.returncode != 0
    assert str(tmp_path / "nowhere") in said(run)
    assert "DERMA_HAM10000_DIR" in said(run)


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder should be")
    env = environment(tmp_path) | {"DERMA_DATA_DIR": str(tmp_path / "blocked")}
    run = materialize("raw_metadata", env)
    assert run.returncode != 0
    assert "DERMA_DATA_DIR" in said(run)


@pytest.mark.parametrize(("name", "value"), [("DERMA_DATASET", "ham"), ("DERMA_IMAGE_SIZE", "big")])
def test_a_wrong_setting_is_named(tmp_path: Path, name: str, value: str) -> None:
    run = materialize("raw_metadata", environment(tmp_path, **{name: value}))
    assert run.returncode != 0
    assert name in said(run)


def test_make_shows_the_message_without_a_traceback(tmp_path: Path) -> None:
    run = command(
        *("dagster", "asset", "materialize", "-m", "derma_assets.definitions", "--select", "raw_metadata"),
        *("--config-json", '{"loggers": {"console": {}}}'),
        env=environment(tmp_path, DERMA_DATASET="ham10000", DERMA_HAM10000_DIR=str(tmp_path / "nowhere")),
    )
    assert run.returncode != 0
    assert "failed   raw_metadata" in said(run)
    assert str(tmp_path / "nowhere") in said(run)
    assert "Stack Trace" not in said(run)
    assert "Traceback" not in said(run)
