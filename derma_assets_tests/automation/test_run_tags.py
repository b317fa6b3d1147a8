"""A run says which code and which data it was of, whoever launched it."""

from pathlib import Path

import dagster as dg

from derma_assets.automation.run_tags import COMMIT, DATA, run_tags
from derma_assets.stage import stage_asset
from derma_assets.storage.io_managers import io_managers


def graph(version: str) -> list[dg.AssetsDefinition]:
    @stage_asset("dataset", code_version=version, io_manager_key="document", reuse=False)
    def raw_metadata() -> dg.MaterializeResult:
        return dg.MaterializeResult(value={}, data_version=dg.DataVersion(version))

    @stage_asset("splits", code_version="1", io_manager_key="document")
    def grouped_splits(raw_metadata: dict[str, str]) -> dg.MaterializeResult:
        return dg.MaterializeResult(value={}, data_version=dg.DataVersion("of-it"))

    return [raw_metadata, grouped_splits]


def tags_after(instance: dg.DagsterInstance, store: Path, version: str, selection: str) -> dict[str, str]:
    run = dg.materialize(graph(version), selection=selection, instance=instance, resources=io_managers(store))
    known = instance.get_run_by_id(run.run_id)
    assert known is not None
    return {name: value for name, value in known.tags.items() if name in (COMMIT, DATA)}


def test_a_run_is_tagged_with_its_commit_and_the_data_that_it_read_or_made(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = tags_after(instance, tmp_path, "1", "raw_metadata")
        assert first == {**run_tags(), DATA: "1"}
        assert tags_after(instance, tmp_path, "1", "grouped_splits")[DATA] == "1"
        assert tags_after(instance, tmp_path, "2", "*")[DATA] == "2"
        assert tags_after(instance, tmp_path, "2", "grouped_splits")[DATA] == "2"


def test_runs_say_their_commit() -> None:
    tags = run_tags()
    assert set(tags) <= {COMMIT}
    assert all(value for value in tags.values())
