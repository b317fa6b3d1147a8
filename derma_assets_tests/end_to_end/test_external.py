"""Validating on somebody else's pictures, as a user does it: a setting, a command, a table."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derma_assets_tests.end_to_end.conftest import SampleRun
from derma_assets_tests.running import command, said


@pytest.fixture(scope="module")
def external(sample_run: SampleRun, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """The sample's own test pictures and some of its training pictures, as a stranger's folder."""
    folder = tmp_path_factory.mktemp("theirs")
    splits = pd.read_parquet(sample_run.store / "grouped_splits.parquet")
    paths = pd.read_parquet(sample_run.store / "raw_images.parquet").set_index("image_id")["path"]
    chosen = pd.concat([splits[splits["split"] == "test"], splits[splits["split"] == "train"].head(3)])
    for image_id in chosen["image_id"]:
        shutil.copyfile(paths[image_id], folder / f"{image_id}.jpg")
    chosen[["image_id", "lesion_id", "dx"]].rename(columns={"image_id": "image"}).to_csv(folder / "t.csv", index=False)
    return folder, chosen


def test_the_same_pictures_give_the_same_figures(sample_run: SampleRun, external: tuple[Path, pd.DataFrame]) -> None:
    folder, chosen = external
    env = sample_run.env | {"DERMA_EXTERNAL_DATASETS": f"theirs={folder}"}
    words = ("dagster", "asset", "materialize", "-m", "derma_assets.studies", "--select", "external_validation")
    run = command(*words, "--partition", "theirs", env=env)
    assert run.returncode == 0, said(run)[-4000:]
    table = pd.read_parquet(sample_run.store / "external_validation" / "theirs.parquet")
    confusion = table[table["section"] == "confusion"]
    judged = int(confusion["value"].sum())
    # The three training pictures, and whatever looks like one, were left out.
    assert judged <= (chosen["split"] == "test").sum()
    ours = pd.read_parquet(sample_run.store / "predictions.parquet").query("split == 'test'")
    if judged == len(ours):
        overall = pd.read_parquet(sample_run.store / "overall_metrics.parquet").set_index("metric")
        theirs = table[table["section"] == "overall"].set_index("metric")
        columns = ["value", "low", "high"]
        np.testing.assert_allclose(theirs[columns], overall.loc[theirs.index, columns], atol=1e-6)
    report = command("python", "-m", "derma_assets.release.external", "report", "theirs", env=env)
    assert report.returncode == 0, said(report)
    assert "On theirs" in report.stdout
    assert "Decision support, not a diagnosis." in report.stdout


def test_what_was_not_validated_is_said(sample_run: SampleRun) -> None:
    run = command("python", "-m", "derma_assets.release.external", "report", "nobody", env=sample_run.env)
    assert run.returncode == 1
    assert "make external NAME=nobody" in run.stderr


def test_both_code_locations_load_and_everything_can_still_be_selected(sample_run: SampleRun) -> None:
    run = command("dagster", "definitions", "validate", "-w", "workspace.yaml", env=sample_run.env)
    assert run.returncode == 0, said(run)
    assert "derma_assets.studies" in said(run)
    # A partitioned asset in it would have stopped the run of everything.
    assert "external_validation" not in sample_run.output
