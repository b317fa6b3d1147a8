"""Nothing is computed twice, and nothing is taken for unchanged that has changed: a graph of three small assets."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from derma_assets.reuse import reusing, reusing_check
from derma_assets.stage import stage_asset
from derma_assets.storage.io_managers import io_managers
from derma_assets.storage.records import read_record, record_path
from derma_assets.ui_metadata import Later

PARTS = dg.StaticPartitionsDefinition(["a", "b"])


@dataclass
class Graph:
    """A graph whose functions count their calls; its source and versions can be changed between runs."""

    store: Path
    numbers: list[int] = field(default_factory=lambda: [3, 1, 2])
    version: str = "1"
    is_strict: bool = False
    calls: list[str] = field(default_factory=list)
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    def assets(self) -> list[Any]:
        graph = self

        @stage_asset("dataset", code_version="1", io_manager_key="table", reuse=False)
        def source() -> dg.MaterializeResult:
            graph.calls.append("source")
            return dg.MaterializeResult(
                value=pd.DataFrame({"number": graph.numbers}), data_version=dg.DataVersion(str(graph.numbers))
            )

        @stage_asset("dataset", code_version=graph.version, io_manager_key="table")
        def ordered(source: pd.DataFrame) -> dg.MaterializeResult:
            graph.calls.append("ordered")
            table = source.sort_values("number", ignore_index=True)
            version = dg.DataVersion(str(table["number"].tolist()))
            return dg.MaterializeResult(
                value=table, data_version=version, metadata={"largest": int(table["number"].max())}
            )

        @dg.multi_asset(
            outs={
                name: dg.AssetOut(is_required=False, io_manager_key="document", code_version="1")
                for name in ("smallest", "count")
            },
            can_subset=True,
            required_resource_keys={"reuse"},
        )
        def both(context: dg.AssetExecutionContext, ordered: pd.DataFrame) -> Iterator[dg.MaterializeResult[Any]]:
            yield from summaries(context, ordered)

        def summaries(context: dg.AssetExecutionContext, ordered: pd.DataFrame) -> Iterator[dg.MaterializeResult[Any]]:
            graph.calls.append("both")
            values = {"smallest": int(ordered["number"].min()), "count": len(ordered)}
            for key in context.selected_asset_keys:
                name = key.path[-1]
                yield dg.MaterializeResult(asset_key=key, value={name: values[name]})

        summaries = reusing(summaries, {"smallest": "document", "count": "document"})

        @dg.asset_check(asset=ordered, required_resource_keys={"reuse"})
        @reusing_check(made_of=("ordered",), version="1")
        def is_ordered(ordered: pd.DataFrame) -> dg.AssetCheckResult:
            graph.calls.append("is_ordered")
            passed = bool(ordered["number"].is_monotonic_increasing and len(ordered) > (3 if graph.is_strict else 2))
            return dg.AssetCheckResult(
                passed=passed, metadata={"table": dg.MetadataValue.md("| a |"), "n": len(ordered)}
            )

        return [source, ordered, both, is_ordered]

    def run(self, force: bool = False, **options: Any) -> dg.ExecuteInProcessResult:
        """Materialize and return the run; `calls` then names what was computed in it."""
        self.calls.clear()
        return dg.materialize(
            self.assets(), resources=io_managers(self.store, force=force), instance=self.instance, **options
        )

    def data_version(self, name: str) -> str:
        """Return the data version that the last run gave."""
        event = self.instance.get_latest_materialization_event(dg.AssetKey(name))
        assert event is not None
        assert event.asset_materialization is not None
        return (event.asset_materialization.tags or {})["dagster/data_version"]


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    graph = Graph(tmp_path / "store")
    graph.run()
    assert set(graph.calls) == {"source", "ordered", "both", "is_ordered"}
    return graph


def _metadata(run: dg.ExecuteInProcessResult, name: str) -> dict[str, Any]:
    (event,) = run.asset_materializations_for_node("both" if name in ("smallest", "count") else name)[:1]
    return {key: value.value for key, value in event.metadata.items()}


def test_nothing_is_computed_again_when_nothing_changed(graph: Graph) -> None:
    first = graph.data_version("ordered")
    run = graph.run()
    assert graph.calls == ["source"]
    assert graph.data_version("ordered") == first == "[1, 2, 3]"
    assert _metadata(run, "ordered")["reused"] is True
    assert _metadata(run, "ordered")["largest"] == 3
    (check,) = run.get_asset_check_evaluations()
    assert check.passed
    assert check.metadata["reused"].value is True
    assert check.metadata["table"].value == "| a |"


def test_other_content_is_computed_with(graph: Graph) -> None:
    graph.numbers = [5, 4, 6]
    graph.run()
    assert set(graph.calls) == {"source", "ordered", "both", "is_ordered"}


def test_only_what_depends_on_other_content_is_computed(graph: Graph) -> None:
    graph.numbers = [2, 3, 1]  # another order of the same numbers
    graph.run()
    assert graph.calls == ["source", "ordered"]


def test_another_code_version_is_computed_with(graph: Graph) -> None:
    graph.version = "2"
    graph.run()
    assert graph.calls == ["source", "ordered"]  # and what it gives is the same, so nothing below


def test_force_computes_everything(graph: Graph) -> None:
    graph.run(force=True)
    assert set(graph.calls) == {"source", "ordered", "both", "is_ordered"}


def test_the_launchpad_can_force_too(graph: Graph) -> None:
    graph.run(run_config={"resources": {"reuse": {"config": {"store": str(graph.store), "force": True}}}})
    assert set(graph.calls) == {"source", "ordered", "both", "is_ordered"}


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_a_damaged_file_is_made_again_with_a_warning(
    graph: Graph, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    stored = graph.store / "ordered.parquet"
    whole = stored.read_bytes()
    if damage == "flip":
        stored.write_bytes(bytes([*whole[:50], whole[50] ^ 1, *whole[51:]]))
    else:
        stored.unlink()
    graph.run()
    assert graph.calls == ["source", "ordered"]
    assert stored.read_bytes() == whole
    assert "is damaged" in capfd.readouterr().err


def test_a_damaged_file_is_not_read(graph: Graph) -> None:
    stored = graph.store / "ordered.parquet"
    whole = stored.read_bytes()
    stored.write_bytes(bytes([*whole[:50], whole[50] ^ 1, *whole[51:]]))
    run = graph.run(force=True, selection=["smallest"], raise_on_error=False)
    assert not run.success
    (failure,) = (event for event in run.all_events if event.is_step_failure)
    assert "is damaged" in str(failure.step_failure_data.error)
    assert graph.calls == []


def test_one_of_two_outputs_can_be_asked_for(graph: Graph) -> None:
    graph.run(selection=["count"])
    assert graph.calls == []
    (graph.store / "count.json").unlink()
    graph.run(selection=["count"])
    assert graph.calls == ["both"]
    assert json.loads((graph.store / "count.json").read_text()) == {"count": 3}


def test_a_check_that_failed_is_run_again(graph: Graph) -> None:
    graph.numbers = [1, 2]
    graph.run()
    graph.run()
    assert graph.calls == ["source", "is_ordered"]


def test_a_check_that_fails_takes_back_that_it_has_passed(graph: Graph) -> None:
    graph.is_strict = True
    assert not graph.run(force=True).get_asset_check_evaluations()[0].passed
    graph.is_strict = False
    (check,) = graph.run().get_asset_check_evaluations()
    assert "is_ordered" in graph.calls
    assert "reused" not in check.metadata


def test_a_run_killed_between_content_and_record_is_not_trusted(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    from derma_assets.storage import storing as module

    graph.numbers = [9, 8, 7]
    with monkeypatch.context() as patched:
        patched.setattr(module, "writing_record", _killed_before_it_is_there)
        with pytest.raises(KeyboardInterrupt):
            graph.run(selection=["source", "ordered"])
    assert read_record(record_path(graph.store, "source")) is None
    graph.run()
    assert "ordered" in graph.calls
    assert pd.read_parquet(graph.store / "ordered.parquet")["number"].tolist() == [7, 8, 9]


@contextmanager
def _killed_before_it_is_there(path: Path) -> Iterator[Callable[[Any], None]]:
    yield lambda record: None
    raise KeyboardInterrupt


def test_what_was_stored_without_a_record_is_computed(graph: Graph) -> None:
    record_path(graph.store, "ordered").unlink()
    graph.run()
    assert graph.calls == ["source", "ordered"]


def test_another_instance_knows_the_store_too(graph: Graph) -> None:
    graph.instance = dg.DagsterInstance.ephemeral()
    run = graph.run()
    assert graph.calls == ["source"]
    assert _metadata(run, "ordered") == {"reused": True}


def test_partitions_are_reused_one_by_one(tmp_path: Path) -> None:
    calls = []

    def assets() -> list[Any]:
        @stage_asset("dataset", code_version="1", io_manager_key="document", partitions_def=PARTS)
        def part(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            calls.append(context.partition_key)
            return dg.MaterializeResult(value={"part": context.partition_key})

        @stage_asset("dataset", code_version="1", io_manager_key="document")
        def whole(part: dict[str, Any]) -> dg.MaterializeResult:
            calls.append("whole")
            return dg.MaterializeResult(value={"parts": sorted(part)})

        return [part, whole]

    instance = dg.DagsterInstance.ephemeral()

    def run(**options: Any) -> None:
        dg.materialize(assets(), resources=io_managers(tmp_path), instance=instance, **options)

    for key in ("a", "b", "a"):
        run(partition_key=key, selection=["part"])
    assert calls == ["a", "b"]
    run(selection=["whole"])
    run(selection=["whole"])
    assert calls == ["a", "b", "whole"]


def test_a_figure_of_what_is_looked_at_is_made_once_for_one_content(tmp_path: Path) -> None:
    drawn: list[str] = []
    seen, upstream = ["one"], ["as it is"]

    def draw() -> dg.MetadataValue:
        drawn.append(seen[0])
        return dg.MetadataValue.md(f"figure of {seen[0]}")

    @stage_asset("dataset", code_version="1", io_manager_key="document", reuse=False, also=lambda _: upstream[0])
    def looked_at() -> dg.MaterializeResult:
        metadata = {"figure": Later(draw), "length": len(seen[0])}
        return dg.MaterializeResult(value={}, data_version=dg.DataVersion(seen[0]), metadata=metadata)

    instance = dg.DagsterInstance.ephemeral()

    def run(force: bool = False) -> tuple[Any, Any]:
        done = dg.materialize([looked_at], resources=io_managers(tmp_path, force=force), instance=instance)
        said = _metadata(done, "looked_at")
        return said["figure"], said["reused"]

    for seen[0] in ("one", "one", "two", "one"):
        assert run() == (f"figure of {seen[0]}", False)
    assert drawn == ["one", "two", "one"]
    assert run(force=True) == ("figure of one", False)
    assert drawn[3:] == ["one"]
    upstream[0] = "corrected"  # which the figure may show, too
    assert run() == ("figure of one", False)
    assert drawn[4:] == ["one"]


def test_what_the_name_of_a_partition_stands_for_decides_too(tmp_path: Path) -> None:
    calls: list[str] = []
    meaning = {"a": 1, "b": 2}

    @stage_asset(
        "dataset",
        code_version="1",
        io_manager_key="document",
        partitions_def=PARTS,
        also=lambda context: meaning[context.partition_key],
    )
    def part(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        calls.append(context.partition_key)
        return dg.MaterializeResult(value={"part": meaning[context.partition_key]})

    instance = dg.DagsterInstance.ephemeral()
    for meaning["b"] in (2, 2, 3):
        for key in ("a", "b"):
            dg.materialize([part], resources=io_managers(tmp_path), instance=instance, partition_key=key)
    assert calls == ["a", "b", "b"]


def test_only_the_part_of_an_input_that_decides_is_looked_at(graph: Graph) -> None:
    calls = []

    @stage_asset(
        "dataset",
        code_version="1",
        io_manager_key="document",
        decided_by={"ordered": lambda table: table["number"].tolist()[:2]},
    )
    def smallest_two(ordered: pd.DataFrame) -> dg.MaterializeResult:
        calls.append("smallest_two")
        return dg.MaterializeResult(value={"numbers": ordered["number"].tolist()[:2]})

    def computed(numbers: list[int]) -> list[str]:
        graph.numbers = numbers
        calls.clear()
        graph.calls.clear()
        dg.materialize([*graph.assets()[:2], smallest_two], resources=io_managers(graph.store), instance=graph.instance)
        return calls

    assert computed([3, 1, 2]) == ["smallest_two"]
    assert computed([9, 1, 2]) == []
    assert graph.calls == ["source", "ordered"]
    assert computed([9, 1, 3]) == ["smallest_two"]
    assert json.loads((graph.store / "smallest_two.json").read_text()) == {"numbers": [1, 3]}


def test_a_file_beside_the_graph_decides_by_its_content(tmp_path: Path) -> None:
    notes = [tmp_path / name for name in ("one.csv", "two.csv")]
    calls = []

    @stage_asset("dataset", code_version="1", io_manager_key="document", reads_files=lambda: filter(Path.exists, notes))
    def noted() -> dg.MaterializeResult:
        calls.append("noted")
        return dg.MaterializeResult(value={"notes": 1})

    def computed() -> int:
        calls.clear()
        with dg.DagsterInstance.ephemeral() as instance:
            dg.materialize([noted], resources=io_managers(tmp_path / "store"), instance=instance)
        return len(calls)

    assert [computed(), computed()] == [1, 0]
    notes[1].write_text("a")
    assert [computed(), computed()] == [1, 0]
    notes[1].write_text("b")
    assert [computed(), computed()] == [1, 0]
    notes[1].rename(notes[0])
    assert computed() == 1


def test_functions_keep_their_names_and_docstrings() -> None:
    def compute() -> Callable[[], None]:
        """Say what it is."""
        raise NotImplementedError

    assert reusing(compute, {}).__doc__ == "Say what it is."
