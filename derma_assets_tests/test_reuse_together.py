"""Several runs at once on one store, and damage where something is built upon: a graph of three small assets."""

import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from derma_assets import reuse
from derma_assets.storage import io_managers as io_managers_module
from derma_assets.storage.earlier_table import earlier_table
from derma_assets.storage.io_managers import TableIOManager, io_managers
from derma_assets.storage.published import what_was_stored
from derma_assets.storage.records import read_record, record_path
from derma_assets_tests.test_reuse import Graph


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def said(run: dg.ExecuteInProcessResult) -> str:
    return "\n".join(str(event.message) for event in run.all_events)


class Gate:
    """Holds up the first one who comes, until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened, self._lock, self._first = (
            threading.Event(),
            threading.Event(),
            threading.Lock(),
            True,
        )

    def pass_through(self) -> None:
        with self._lock:
            first, self._first = self._first, False
        if first:
            self.reached.set()
            assert self.opened.wait(60)


def at_the_gate(graph: Graph, gate: Gate, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first write of the asset `where` wait at the gate."""
    real = TableIOManager.write

    def write(manager: TableIOManager, obj: pd.DataFrame, path: Path) -> None:
        if path.name.startswith(f".{where}."):
            gate.pass_through()
        real(manager, obj, path)

    monkeypatch.setattr(TableIOManager, "write", write)


def test_the_second_run_waits_until_the_first_has_stored_and_reuses_it(
    store: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second, gate = Graph(store), Graph(store), Gate()
    Graph(store).run(selection=["source"])
    at_the_gate(first, gate, "ordered", monkeypatch)
    with ThreadPoolExecutor() as threads:
        one = threads.submit(first.run, selection=["ordered"])
        assert gate.reached.wait(60)
        other = threads.submit(second.run, selection=["ordered"])
        # It has computed and is about to store: the second is at the same asset, and has nothing to do but wait.
        for _ in range(600):
            if "waiting for ordered" in capfd.readouterr().err:
                break
            threading.Event().wait(0.05)
        else:
            raise AssertionError("the second run does not wait")
        assert not other.done()
        gate.opened.set()
        assert one.result(60).success
        assert other.result(60).success
    assert first.calls[0] == "ordered"
    assert "ordered" not in second.calls


def test_what_is_replaced_after_it_was_loaded_is_loaded_again(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a result of the old content would be said to be of the new one, and be given again for it."""
    graph, other = Graph(store), Graph(store, numbers=[9, 8, 7])
    graph.run(selection=["source"])
    real, replaced = TableIOManager.read, []

    def read(manager: TableIOManager, path: Path) -> pd.DataFrame:
        table = real(manager, path)
        if not replaced:
            replaced.append(path)
            with ThreadPoolExecutor() as threads:
                threads.submit(other.run, selection=["source"]).result(60)
        return table

    monkeypatch.setattr(TableIOManager, "read", read)
    graph.run(selection=["ordered"])
    assert pd.read_parquet(store / "ordered.parquet")["number"].tolist() == [7, 8, 9]
    assert graph.calls == ["ordered", "is_ordered"]
    monkeypatch.undo()
    graph.run(selection=["ordered"])
    assert graph.calls == []


def test_what_is_replaced_while_something_is_fetched_is_loaded_again(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From object storage a large input may take minutes, and the small ones were loaded before."""
    graph, other = Graph(store), Graph(store, numbers=[9, 8, 7])
    graph.run(selection=["source"])
    absent = [[("large", None)]]

    def fetch(*_: Any) -> None:
        with ThreadPoolExecutor() as threads:
            threads.submit(other.run, selection=["source"]).result(60)

    monkeypatch.setattr(reuse, "not_here", lambda *_: absent.pop() if absent else [])
    monkeypatch.setattr(reuse, "fetch", fetch)
    graph.run(selection=["ordered"])
    assert pd.read_parquet(store / "ordered.parquet")["number"].tolist() == [7, 8, 9]


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), RuntimeError("a fault")])
def test_a_step_that_fails_while_it_stores_gives_its_locks_back(
    store: Path, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = Graph(store)
    with monkeypatch.context() as patched:
        patched.setattr(TableIOManager, "write", raising(fault))
        failed = graph.run(selection=["source"], raise_on_error=False)
        assert not failed.success
        assert graph.run(selection=["ordered"], raise_on_error=False).success is False
    assert graph.run(selection=["source"]).success
    with ThreadPoolExecutor() as threads:
        assert threads.submit(graph.run, selection=["source"]).result(60).success


def raising(fault: Exception) -> Callable[..., None]:
    def raises(*_: Any) -> None:
        raise fault

    return raises


def test_a_failed_write_leaves_content_and_record(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph(store)
    graph.run()
    before, content = read_record(record_path(store, "ordered")), (store / "ordered.parquet").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(TableIOManager, "write", raising(OSError(28, "No space left on device")))
        assert not graph.run(force=True, selection=["ordered"], raise_on_error=False).success
    assert read_record(record_path(store, "ordered")) == before
    assert (store / "ordered.parquet").read_bytes() == content
    graph.run(selection=["ordered"])
    assert graph.calls == []


def test_a_record_is_written_before_anything_changes(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph(store)
    graph.run()
    before = (store / "ordered.parquet").read_bytes()
    graph.numbers = [6, 5, 4]
    graph.run(selection=["source"])
    with monkeypatch.context() as patched:
        patched.setattr(io_managers_module, "record_of", raising(OSError(28, "No space left on device")))
        assert not graph.run(selection=["ordered"], raise_on_error=False).success
    assert (store / "ordered.parquet").read_bytes() == before


@pytest.mark.parametrize("full_for", ["ordered.parquet", "ordered.json"])
def test_a_disk_that_is_found_full_only_when_files_are_flushed_changes_nothing(
    full_for: str, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = Graph(store)
    graph.run()
    before, content = read_record(record_path(store, "ordered")), (store / "ordered.parquet").read_bytes()
    real = os.fsync

    def fsync(file: int) -> None:
        if Path(os.readlink(f"/proc/self/fd/{file}")).name.startswith(f".{full_for}."):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file)

    graph.numbers = [6, 5, 4]
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        failed = graph.run(selection=["source", "ordered"], raise_on_error=False)
    assert "the disk is full" in str(failed.failure_data_for_node("ordered"))
    assert read_record(record_path(store, "ordered")) == before
    assert (store / "ordered.parquet").read_bytes() == content


@pytest.mark.parametrize("place", ["made_from", "data_version", "sha256", "itself"])
def test_a_flipped_byte_in_a_record_is_noticed(store: Path, place: str, capfd: pytest.CaptureFixture[str]) -> None:
    graph = Graph(store)
    graph.run()
    path = record_path(store, "ordered")
    whole = path.read_bytes()
    at = whole.index(place.encode()) + len(place) + 6  # within the value
    path.write_bytes(bytes([*whole[:at], whole[at] ^ 1, *whole[at + 1 :]]))
    graph.run()
    assert "ordered" in graph.calls
    assert path.read_bytes() == whole
    assert "is damaged" in capfd.readouterr().err


def test_a_flipped_byte_in_the_record_of_a_check_is_noticed(store: Path) -> None:
    graph = Graph(store)
    graph.run()
    path = record_path(store, "checks", "is_ordered")
    whole = path.read_bytes()
    at = whole.index(b"| a |")
    path.write_bytes(whole[:at] + b"| b |" + whole[at + 5 :])
    graph.run()
    assert graph.calls == ["source", "is_ordered"]


def test_nothing_is_taken_from_an_earlier_version_that_is_damaged(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    graph = Graph(store)
    graph.run()
    stored = store / "ordered.parquet"
    assert what_was_stored(store, "ordered", "table") == stored
    whole = stored.read_bytes()
    stored.write_bytes(bytes([*whole[:50], whole[50] ^ 1, *whole[51:]]))
    assert what_was_stored(store, "ordered", "table") is None
    assert "is damaged" in caplog.text
    assert earlier_table(store, "ordered") is None
    record_path(store, "ordered").unlink()  # a run killed before its record was there has stored all the same
    assert what_was_stored(store, "ordered", "table") == stored
    assert what_was_stored(store, "nothing", "table") is None
    stored.write_bytes(whole)
    earlier = earlier_table(store, "ordered")
    assert earlier is not None
    assert earlier["number"].tolist() == [1, 2, 3]
    stored.write_bytes(whole[:-8] + bytes(8))
    caplog.clear()
    assert earlier_table(store, "ordered") is None
    assert f"{stored} is damaged" in caplog.text
    assert earlier_table(store, "nothing") is None


def test_a_clock_that_goes_backwards_changes_nothing(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import time

    graph = Graph(store)
    graph.run()
    real = time.time
    for years in (-1, 1):
        for path in (path for path in store.rglob("*") if path.is_file()):
            state = path.stat()
            os.utime(path, (state.st_atime, state.st_mtime - years * 365 * 86400))
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda years=years: real() + years * 365 * 86400)
            graph.run()
        assert graph.calls == ["source"], years
    before = graph.data_version("ordered")
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: real() - 365 * 86400)
        graph.numbers = [5, 6, 4]
        graph.run()
        assert set(graph.calls) == {"source", "ordered", "both", "is_ordered"}
        assert graph.data_version("ordered") != before  # the instance shows what was made last, not what looks newest
        graph.run()
    assert graph.calls == ["source"]


def test_resources_need_a_store_that_can_be_locked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    graph = Graph(tmp_path / "file")
    assert io_managers(graph.store)
    run = graph.run(selection=["source"], raise_on_error=False)
    (failure,) = (event for event in run.all_events if event.is_step_failure)
    assert "is a file, not a folder" in str(failure.step_failure_data)
