"""Locks of stored assets: many may read one, or one may make it anew.

The kernel holds the locks, by way of `filelock`, and gives them back when a process ends, however it ends: there are no
stale ones. A lock is a file in the folder `.locks` of the store; beside it lies a note of each process that holds it,
for whoever waits to read. A store that is not a folder has to bring its own `holding`.
"""

import json
import os
import socket
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psutil
from filelock import ReadWriteLock, Timeout

from derma_assets.errors import StorageError
from derma_assets.storage.atomic import explained

# The folder of the locks, below that of the store.
LOCKS = ".locks"
_LOCK = "lock"

# An asset's name, and the partition, if it is of one.
Name = tuple[str, str | None]
Mode = Literal["read", "write"]

# What this thread holds, by store and name.
_here = threading.local()


def held_here(store: Path, name: Name) -> Mode | None:
    """Return how this thread holds the lock of a stored asset, None if it does not."""
    return _here.__dict__.get("held", {}).get((store, name))


@contextmanager
def holding(
    store: Path, *, reads: Iterable[Name] = (), writes: Iterable[Name] = (), does: str, say: Callable[[str], None]
) -> Iterator[None]:
    """Hold the locks of stored assets meanwhile; wait for them first.

    Nobody waits in a circle as long as everyone reads only what is upstream of what they write: who has all they
    wrote down to write waits for nobody.

    Args:
        store: Folder of the stored assets.
        reads: What must not be replaced meanwhile; others may read it too.
        writes: What nobody else may read or write meanwhile.
        does: What for, in words; whoever waits is told.
        say: Is told once for each lock that is waited for, who holds it.

    Raises:
        StorageError: the locks cannot be written, or the file system cannot lock.
    """
    with ExitStack() as held:
        for name in sorted(set(reads), key=str):
            held.enter_context(_held(store, name, "read", does, say))
        for name in sorted(set(writes), key=str):
            held.enter_context(_held(store, name, "write", does, say))
        yield


@contextmanager
def _held(store: Path, name: Name, mode: Mode, does: str, say: Callable[[str], None]) -> Iterator[None]:
    folder = store.joinpath(LOCKS, *filter(None, name))
    note = folder / f"{uuid.uuid4().hex[:8]}.json"
    with explained(store), _lockable(store):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _LOCK).touch()  # for whoever may write to the store; filelock makes it for this user alone
        lock = ReadWriteLock(folder / _LOCK, is_singleton=False)
        acquire = lock.acquire_write if mode == "write" else lock.acquire_read
        try:
            acquire(blocking=False)
        except Timeout:
            said = "; ".join(_holders(folder)) or "another process"
            say(f"waiting for {'/'.join(filter(None, name))}, in use by {said}")
            acquire()
    try:
        _here.__dict__.setdefault("held", {})[store, name] = mode
        with explained(store):
            if mode == "write":  # nobody else holds it: the other notes are of dead processes
                for left in folder.glob("*.json"):
                    left.unlink(missing_ok=True)
            since = datetime.now(UTC).isoformat(timespec="seconds")
            note.write_text(
                json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since, "does": does})
            )
        yield
    finally:
        _here.held.pop((store, name), None)
        note.unlink(missing_ok=True)
        lock.release()
        lock.close()


@contextmanager
def _lockable(store: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StorageError(
            f"cannot lock files in {store} ({error}), so two runs could spoil each other's work: set DERMA_DATA_DIR to "
            "a folder on a file system that can lock, such as a local disk. What was stored there before is untouched."
        ) from error


def _holders(folder: Path) -> list[str]:
    """Return who holds a lock, a phrase each; notes of dead processes of this host are left out."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            note = json.loads(path.read_text())
            here = note["host"] == socket.gethostname()
            if not here or psutil.pid_exists(note["pid"]):
                found.append(f"process {note['pid']} on {note['host']} since {note['since']} ({note['does']})")
        except (OSError, ValueError, KeyError, TypeError):  # being written, or gone
            continue
    return found
