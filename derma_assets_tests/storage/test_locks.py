"""Many read, one writes, the dead hold nothing, and who waits is told for whom."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import pytest

from derma_assets.errors import StorageError
from derma_assets.storage import locks
from derma_assets.storage.atomic import replacing
from derma_assets.storage.claims import is_claimed
from derma_assets.storage.locks import holding
from derma_assets.storage.paths import building_folder

ASSET = ("asset", None)

HOLDER = """
import sys, time
from pathlib import Path
from derma_assets.storage.locks import holding
with holding(Path(sys.argv[1]), **{sys.argv[2]: [("asset", None)]}, does="makes asset", say=print):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def holder(store: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that holds the lock of the asset meanwhile."""
    with started(HOLDER, store, how) as process:
        yield process


@contextmanager
def started(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "held"
            yield process
        finally:
            process.kill()


def waits(store: Path, how: str) -> list[str]:
    """Return what is said while the lock is asked for, until the one who holds it is killed with -9."""
    said: list[str] = []
    with holder(store, "writes" if how == "reads" else "reads") as other:

        def say(line: str) -> None:
            said.append(line)
            os.kill(other.pid, signal.SIGKILL)

        with holding(store, **{how: [ASSET]}, does="test", say=say):  # type: ignore[arg-type]
            assert other.wait(10) == -signal.SIGKILL
    return said


@pytest.mark.parametrize("how", ["reads", "writes"])
def test_who_waits_is_told_for_whom_and_a_killed_holder_holds_nothing(how: str, tmp_path: Path) -> None:
    (line,) = waits(tmp_path, how)
    assert line.startswith("waiting for asset, in use by process ")
    assert "since 20" in line
    assert line.endswith("(makes asset)")


def test_the_note_of_a_dead_process_is_not_believed(tmp_path: Path) -> None:
    with holder(tmp_path, "reads") as dead:
        os.kill(dead.pid, signal.SIGKILL)
        dead.wait(10)
    (note,) = (tmp_path / ".locks" / "asset").glob("*.json")
    with holding(tmp_path, reads=[ASSET], does="test", say=pytest.fail):
        assert len(locks._holders(note.parent)) == 1
    with holding(tmp_path, writes=[ASSET], does="test", say=pytest.fail):
        assert not note.exists()
    assert not list(note.parent.glob("*.json"))


def test_readers_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with holder(tmp_path, "reads"), holding(tmp_path, reads=[ASSET], does="test", say=pytest.fail):
        pass


def test_partitions_and_other_assets_do_not_wait_for_each_other(tmp_path: Path) -> None:
    others = [("asset", "a"), ("other", None)]
    with holder(tmp_path, "writes"), holding(tmp_path, writes=others, does="test", say=pytest.fail):
        pass


def test_one_thread_waits_for_another(tmp_path: Path) -> None:
    order, said = [], threading.Event()

    def second() -> None:
        with holding(tmp_path, writes=[ASSET], does="second", say=lambda _: said.set()):
            order.append("second")

    with holding(tmp_path, writes=[ASSET], does="first", say=pytest.fail):
        thread = threading.Thread(target=second)
        thread.start()
        assert said.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("locking protocol"), OSError(errno.ENOLCK, "No locks available")]
)
def test_a_file_system_that_cannot_lock_is_named(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(filelock.ReadWriteLock, "acquire_write", refuse)
    with (
        pytest.raises(StorageError, match=r"lock files.*set DERMA_DATA_DIR to a folder on"),
        holding(tmp_path, writes=[ASSET], does="test", say=print),
    ):
        raise AssertionError("not reached")


def test_a_writer_on_a_file_system_that_cannot_lock_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("filelock._unix.lock_fd_nonblocking", refuse)
    with pytest.raises(StorageError, match="cannot lock files"), replacing(tmp_path / "output"):
        raise AssertionError("not reached")
    assert not (tmp_path / "output").exists()


WRITER = """
import sys, time
from pathlib import Path
from derma_assets.storage.atomic import replacing
from derma_assets.storage.paths import building_folder
store = Path(sys.argv[1])
with building_folder(store, "asset") as folder, replacing(store / "table.x") as beside:
    folder.mkdir()
    (folder / "half").write_text("half")
    beside.write_text("half")
    print("held", flush=True)
    time.sleep(600)
"""


def unfinished(store: Path) -> list[Path]:
    return [*store.glob(".table.x.*.tmp.x"), *(path for path in (store / ".building").iterdir() if path.is_dir())]


def write_both(store: Path) -> None:
    with replacing(store / "table.x") as beside:
        beside.write_text("new")
    with building_folder(store, "asset"):
        pass


def test_what_a_living_process_writes_stays_and_what_a_killed_one_has_left_goes_at_once(tmp_path: Path) -> None:
    with started(WRITER, tmp_path) as writer:
        write_both(tmp_path)
        assert len(unfinished(tmp_path)) == 2
        assert all(is_claimed(path) for path in unfinished(tmp_path))
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait(10)
    assert len(unfinished(tmp_path)) == 2
    write_both(tmp_path)
    assert unfinished(tmp_path) == []
    assert (tmp_path / "table.x").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".building", "table.x"]
    assert list((tmp_path / ".building").iterdir()) == []


@pytest.mark.parametrize("year_s", [-365 * 86400, 365 * 86400])
def test_no_clock_says_who_is_dead(year_s: int, tmp_path: Path) -> None:
    """A clock that jumps by a year, in either direction, deletes nothing that lives and keeps nothing that is dead."""
    with started(WRITER, tmp_path) as writer:
        for path in unfinished(tmp_path):
            state = path.stat()
            os.utime(path, (state.st_mtime + year_s, state.st_mtime + year_s))
        write_both(tmp_path)
        assert len(unfinished(tmp_path)) == 2
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait(10)
    write_both(tmp_path)
    assert unfinished(tmp_path) == []
