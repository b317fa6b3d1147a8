"""`kill -9` at ten random moments of a run: the store stays whole, and the numbers are those of an undisturbed run."""

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from derma_assets_tests.recovery.conftest import Undisturbed
from derma_assets_tests.recovery.runs import EPOCHS, begin
from derma_assets_tests.recovery.wholeness import assert_same, assert_whole, epochs_kept, left_behind, records

pytestmark = pytest.mark.recovery

# The step in which each kill comes, at a random moment of it; "an epoch": once one more epoch of training is kept.
KILLS = (
    ("ingest", "raw_metadata"),
    ("ingest", "raw_images"),
    ("ingest", "image_arrays"),
    ("training", "trained_classifier"),
    ("training", "an epoch"),
    ("training", "an epoch"),
    ("conversion", "tfjs_model"),
    ("conversion", "tfjs_bundle_browser_parity"),
    ("release", "released_bundle"),
    ("release", "released_bundle"),
)


@pytest.fixture(scope="module")
def killed(
    undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory, figures: Callable[[str], None]
) -> tuple[Path, list[int]]:
    """A store that was made with ten kills, and how many epochs were kept after each kill."""
    seed = int(os.environ.get("RECOVERY_SEED", random.SystemRandom().randrange(10**6)))
    chance, data_dir, kept = random.Random(seed), tmp_path_factory.mktemp("killed"), []
    figures(f"kills, RECOVERY_SEED={seed}")
    began = time.monotonic()
    for number, (stage, step) in enumerate(KILLS, 1):
        before = epochs_kept(data_dir)
        with begin(data_dir) as run:
            if step == "an epoch":
                assert run.until(lambda before=before: epochs_kept(data_dir) > before), "no further epoch"
                delay = chance.uniform(0, undisturbed.seconds["trained_classifier"] / 16)
            else:
                assert run.until(lambda run=run, step=step: run.started(step)), f"{step} was not started"
                delay = chance.uniform(0, undisturbed.seconds[step])
            time.sleep(delay)
            alive, where = run.process.poll() is None, run.now_in()
        assert_whole(data_dir)
        kept.append(epochs_kept(data_dir))
        after = f"{delay:.2f} s after {step} began" if step != "an epoch" else f"{delay:.2f} s after an epoch was kept"
        figures(f"  {number:2} {stage:10} {after}, in {where if alive else 'no step: it had ended'}; kept: {kept[-1]}")
    with begin(data_dir) as run:
        run.wait()
    assert_whole(data_dir)
    figures(f"  {len(KILLS)} kills and the last run: {time.monotonic() - began:.0f} s")
    return data_dir, kept


def test_the_numbers_are_those_of_an_undisturbed_run(undisturbed: Undisturbed, killed: tuple[Path, list[int]]) -> None:
    assert_same(undisturbed.data_dir, killed[0])
    stores = [data_dir / "store" / "sample" for data_dir in (undisturbed.data_dir, killed[0])]
    assert records(stores[0]).keys() == records(stores[1]).keys()
    # Number 1 is served, in spite of promotions that were killed; `promoted` tells whether it was the last run's.
    said = [json.loads((store / "released_bundle.json").read_text()) for store in stores]
    served = [(one["served"], one["served_bundle"], one["against"]) for one in said]
    assert served[0] == served[1]
    assert served[0][0] == 1


def test_training_went_on_from_its_last_epoch(killed: tuple[Path, list[int]], figures: Callable[[str], None]) -> None:
    data_dir, kept = killed
    assert kept == sorted(kept), "an epoch was lost"
    assert kept[5] >= 2
    instance = dg.DagsterInstance.from_config(str(data_dir / "dagster_home"))
    event = instance.get_latest_materialization_event(dg.AssetKey("trained_model"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["resumed_after_epoch"].value == kept[5]
    history = pd.read_parquet(data_dir / "store" / "sample" / "training_history.parquet")
    assert history["epoch"].tolist() == [*range(1, EPOCHS + 1)]
    figures(f"  epochs kept after each kill: {kept}")


def test_nothing_is_left_behind(killed: tuple[Path, list[int]]) -> None:
    assert left_behind(killed[0]) == []
