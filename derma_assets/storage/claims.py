"""Which unfinished outputs somebody still writes, and which a dead process has left.

Who writes an output holds a kernel lock on a file beside it, its claim, for as long. The kernel gives the lock back
when a process ends, however it ends: no clock, process number or host name has to be trusted to know the dead from the
living, also where two containers share a disk.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_ENDING = ".claim"

# By output, so that a claim lives on after the function that has made it.
_ours: dict[Path, FileLock] = {}


def claim(output: Path) -> None:
    """Let every process see that this one is writing `output`, until `unclaim` or its end.

    Raises:
        OSError: the claim cannot be written, or the file system cannot lock.
    """
    lock = FileLock(_claim_path(output), fallback_to_soft=False, thread_local=False)
    lock.acquire()
    _ours[output] = lock


def unclaim(output: Path) -> None:
    """Say that this process no longer writes `output`."""
    lock = _ours.pop(output, None)
    if lock is not None:
        # Before it is given back: a file that is unlocked and there is a dead process's.
        _claim_path(output).unlink(missing_ok=True)
        lock.release()


def is_claimed(output: Path) -> bool:
    """Return whether a living process writes `output`, this one included."""
    with _free(output) as free:
        return not free


def remove_left(output: Path) -> None:
    """Remove an unfinished output, or the claim of one, unless a living process writes it."""
    output = output.with_name(output.name.removesuffix(_ENDING))
    with _free(output) as free, suppress(FileNotFoundError):  # another process tidies up too
        if free:
            remove(output)
            _claim_path(output).unlink(missing_ok=True)


@contextmanager
def _free(output: Path) -> Iterator[bool]:
    """Yield whether nobody has claimed `output`; meanwhile nobody can."""
    path = _claim_path(output)
    if output in _ours or not path.exists():
        yield output not in _ours
        return
    lock = FileLock(path, fallback_to_soft=False, blocking=False, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def remove(path: Path) -> None:
    """Remove a file or a folder; nothing needs to be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _claim_path(output: Path) -> Path:
    return output.with_name(f"{output.name}{_ENDING}")
