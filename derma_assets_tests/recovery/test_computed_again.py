"""Nothing is computed twice: whole runs after a finished one, each with one thing changed, counted asset by asset."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from derma_assets.automation.reuse_benchmark import SCENARIOS, drop_picture, with_another_docstring
from derma_assets.definitions import defs
from derma_assets_tests.recovery.conftest import Undisturbed
from derma_assets_tests.recovery.runs import SMALL, TO_THE_RELEASE, begin

pytestmark = pytest.mark.recovery

# What looks at files, or at what is stored of the last training, whenever it is asked for.
LOOKS = {"raw_metadata", "raw_images", "data_drift", "training_set", "released_bundle"}


@pytest.fixture
def data_dir(undisturbed: Undisturbed, tmp_path: Path) -> Path:
    """A copy of what an undisturbed run has stored, with all that Dagster knows of it."""
    copy = tmp_path / "data"
    shutil.copytree(undisturbed.data_dir, copy, symlinks=True, copy_function=os.link)
    # Dagster writes into its files, where the store replaces them.
    shutil.rmtree(copy / "dagster_home")
    shutil.copytree(undisturbed.data_dir / "dagster_home", copy / "dagster_home")
    return copy


def run_again(data_dir: Path, selection: str = TO_THE_RELEASE, **settings: str) -> dict[str, Mapping[str, Any]]:
    """Run once more, and return what each asset that was computed says of itself."""
    with begin(data_dir, selection, {**SMALL, **settings}) as run:
        run.wait()
    with dg.DagsterInstance.from_config(str(data_dir / "dagster_home")) as instance:
        (newest,) = instance.get_runs(limit=1)
        logged = instance.all_logs(newest.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    made = [event.asset_materialization for event in logged]
    assert made
    said = {one.asset_key.path[-1]: {name: of.value for name, of in one.metadata.items()} for one in made if one}
    return {name: metadata for name, metadata in said.items() if not metadata["reused"]}


def below(asset: str) -> set[str]:
    """Return the assets on the way to the release that an asset decides, itself included."""
    graph = defs.resolve_asset_graph()
    to_the_release = dg.AssetSelection.assets("released_bundle").upstream() | dg.AssetSelection.assets(
        "training_history"
    )
    keys = dg.AssetSelection.assets(asset).downstream().resolve(graph) & to_the_release.resolve(graph)
    return {key.path[-1] for key in keys}


def scenario(name: str) -> dict[str, str]:
    (found,) = (one for one in SCENARIOS if one.name == name)
    return found.environment


def test_nothing_is_when_nothing_has_changed(data_dir: Path) -> None:
    assert run_again(data_dir).keys() <= LOOKS


def test_nothing_is_for_another_docstring(data_dir: Path, tmp_path: Path) -> None:
    code = with_another_docstring(tmp_path / "code")
    assert run_again(data_dir, PYTHONPATH=str(code)).keys() <= LOOKS


def test_operating_points_and_what_follows_are_for_another_threshold(data_dir: Path) -> None:
    computed = run_again(data_dir, **scenario("threshold")).keys()
    assert {"operating_points", "overall_metrics", "tfjs_bundle", "released_bundle"} <= computed
    # For several views of a picture there are thresholds of their own.
    assert computed <= below("operating_points") | below("view_calibration") | LOOKS


def test_training_and_what_follows_are_for_another_recipe(data_dir: Path) -> None:
    computed = run_again(data_dir, **scenario("recipe"))
    assert {"trained_model", "training_history", "predictions", "tfjs_model", "tfjs_bundle"} <= computed.keys()
    assert computed.keys() <= below("trained_model") | {"training_history"} | LOOKS
    assert computed["training_history"]["epochs"] == 1


def test_only_a_new_picture_is_decoded(data_dir: Path) -> None:
    drop_picture(data_dir / "incoming" / "sample" / "one")
    computed = run_again(data_dir, "*image_arrays,lesion_masks,skin_tone")
    assert "image_arrays" in computed
    shards = [metadata for name, metadata in computed.items() if name.startswith("image_shard_")]
    assert [metadata["decoded"] for metadata in shards] == [1]
