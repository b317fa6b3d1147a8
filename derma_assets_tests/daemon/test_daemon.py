"""The graph runs itself: pictures are dropped into a folder, `dagster dev` is running, and nobody touches anything.

One story in four parts, told in order on one data folder: `make test-daemon` runs all of them.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from derma_assets.automation.run_tags import COMMIT, DATA, run_tags
from derma_assets.dataset.incoming import METADATA
from derma_assets.dataset.sample_batch import write_batch
from derma_assets.dataset.shards import shard_names
from derma_assets.promotion.gate import MARGINS
from derma_assets.settings import DATASET_DEFAULTS, Settings
from derma_assets.splits.assets import AUTOMATIC
from derma_assets.storage.records import read_record, record_path
from derma_assets_tests.daemon.watching import Study, dagster_dev, until
from derma_assets_tests.listening import listening
from derma_assets_tests.running import environment, materialize, said

pytestmark = pytest.mark.daemon

FEW, ENOUGH, MANY, WRONG = 8, 40, 60, 200
# Small pictures, and a first model that has hardly begun to learn: what the daemon trains longer is surely better.
TINY = {"IMAGE_SIZE": "48", "EPOCHS": "6", "BOOTSTRAP_RESAMPLES": "100", "RETRAIN_LESIONS": str(ENOUGH)}
LONGER = "14"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A data folder in which a person has made and served the first bundle."""
    data_dir = tmp_path_factory.mktemp("data")
    env = environment(data_dir, DERMA_DATASET="sample", **{f"DERMA_{name}": value for name, value in TINY.items()})
    run = materialize("*released_bundle", env)
    assert run.returncode == 0, said(run)[-4000:]
    study = Study(data_dir, env)
    assert study.served == 1
    return study


@pytest.fixture(scope="module")
def hook() -> Iterator[tuple[str, list[Any]]]:
    with listening() as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def watching(study: Study, hook: tuple[str, list[Any]]) -> Iterator[None]:
    """The daemon, running during the whole story; it has looked once at what is there."""
    settings = {"DERMA_AUTOMATIC": "1", "DERMA_WATCH_SECONDS": "5", "DERMA_WEBHOOK": hook[0], "DERMA_EPOCHS": LONGER}
    with dagster_dev(study, **settings):
        until("the daemon looks", study, lambda: study.looks("new_content") and study.looks("new_pictures"))
        yield


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Batches that wait to be copied: of many lesions, of few, and one of wrong diagnoses."""
    folder, seed = tmp_path_factory.mktemp("camera"), Settings(dataset="sample").seed
    wanted = (("many", MANY, False), ("few", FEW, False), ("mislabelled", WRONG, True))
    return {name: write_batch(folder, seed, lesions, wrong) for name, lesions, wrong in wanted}


def finished(study: Study, known: set[str]) -> dg.DagsterRun | None:
    """Return the run that the daemon launched for what is new, once it is there and over.

    The metadata are read by a run of their own. Where a look of Dagster's daemon takes long, it may ask once more for
    what a run has just made; that run finds everything stored, and it is not the one that is looked at here.
    """
    new = [run for run in study.runs() if run.run_id not in known]
    read = next((place for place, run in enumerate(new) if "derma/incoming" in run.tags), 0)
    automatic = [run for run in new[:read] if AUTOMATIC in run.tags]
    return automatic[-1] if automatic and automatic[-1].is_finished else None


def taken_in(study: Study, batch: Path, known: set[str]) -> dg.DagsterRun:
    """Wait for the run that comes of a batch, and return it.

    Args:
        known: The runs before it was dropped.
    """
    run = until(f"{batch.name} is taken in", study, lambda: finished(study, known))
    assert run.status is dg.DagsterRunStatus.SUCCESS
    return run


def value(made: dg.AssetMaterialization, name: str) -> Any:
    return made.metadata[name].value


def waits(study: Study) -> list[str]:
    """Return what the looks at the folder found to be waited for, the newest first."""
    return [reason for reason in study.looks("new_pictures") if " waits for " in reason]


def sides(study: Study) -> pd.Series:
    return pd.read_parquet(study.store / "grouped_splits.parquet").set_index("image_id")["split"]


def test_1_half_a_batch_is_waited_for_and_a_whole_one_becomes_a_release(study: Study, batches: dict[str, Path]) -> None:
    before, sides_before, batch = study.run_ids(), sides(study), batches["many"]
    torn, *others = sorted(batch.glob("*.jpg"))
    there = study.incoming / batch.name
    there.mkdir(parents=True)
    (there / torn.name).write_bytes(torn.read_bytes()[:1500])
    shutil.copy(batch / METADATA, there)
    absent = f"{batch.name} waits for {len(others)} of {len(others) + 1} pictures"
    until("the missing ones are seen", study, lambda: any(absent in reason for reason in waits(study)))
    for picture in others:
        shutil.copy(picture, there)
    until("the torn one is seen", study, lambda: any(torn.name in reason for reason in waits(study)))
    assert study.run_ids() == before
    assert study.served == 1

    shutil.copy(torn, there)
    run = taken_in(study, batch, before)
    assert study.served == 2
    assert value(study.made(run, "released_bundle"), "promoted") is True
    assert value(study.last("raw_metadata"), "batches_taken_in") == 1
    assert value(study.made(run, "data_drift"), "arrived") == len(others) + 1
    assert value(study.made(run, "training_set"), "new_lesions") == MANY
    assert value(study.made(run, "trained_model"), "reused") is False
    version = read_record(record_path(study.store, "raw_metadata"))
    assert version is not None
    assert run.tags[DATA] == version.data_version
    assert run.tags.get(COMMIT) == run_tags().get(COMMIT)
    # What new pictures do not change: the page was not even asked for, the old pictures were not decoded again.
    assert study.times_made("web_app") == 1
    shards = [study.made(run, name) for name in shard_names(DATASET_DEFAULTS["sample"]["shards"])]
    assert sum(value(shard, "decoded") for shard in shards) == len(others) + 1
    assert sides(study)[sides_before.index].equals(sides_before)


def test_2_too_few_new_lesions_train_nothing(study: Study, batches: dict[str, Path]) -> None:
    before = study.run_ids()
    shutil.copytree(batches["few"], study.incoming / batches["few"].name)
    run = taken_in(study, batches["few"], before)
    assert value(study.made(run, "training_set"), "waiting_lesions") == FEW
    for asset in ("trained_model", "predictions", "operating_points", "tfjs_model", "tfjs_bundle"):
        assert value(study.made(run, asset), "reused") is True, asset
    assert study.served == 2

    # Taken away again: what is there then was there once, and is asked for all the same.
    before = study.run_ids()
    shutil.rmtree(study.incoming / batches["few"].name)
    run = taken_in(study, batches["few"], before)
    assert value(study.last("raw_metadata"), "batches_taken_in") == 1
    assert value(study.made(run, "training_set"), "waiting_lesions") == 0
    assert study.served == 2


def test_3_wrong_diagnoses_train_a_worse_model_and_it_is_refused(study: Study, batches: dict[str, Path]) -> None:
    before = study.run_ids()
    shutil.copytree(batches["mislabelled"], study.incoming / batches["mislabelled"].name)
    run = taken_in(study, batches["mislabelled"], before)
    made = study.made(run, "released_bundle")
    assert value(made, "promoted") is False
    stopped_by = [figure for figure in MARGINS if f"{figure} is" in value(made, "against")]
    assert stopped_by
    assert all(value(made, f"{figure}_gain") < 0 for figure in stopped_by)
    assert study.served == 2


def test_4_a_run_that_fails_is_told(study: Study, batches: dict[str, Path], hook: tuple[str, list[Any]]) -> None:
    _, got = hook
    before = study.run_ids()
    assert got == []
    shutil.copytree(batches["many"], study.incoming / "the-same-again")
    (document,) = until("the failure is told", study, lambda: got)
    assert "dropped twice" in document["error"]
    assert document["run_id"] in study.run_ids() - before
    assert study.served == 2
