"""Writing so that a reader sees the old version or the new one, never half of either."""

import errno
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from derma_assets.errors import StorageError
from derma_assets.storage.claims import claim, is_claimed, remove, remove_left, unclaim
from derma_assets.storage.exchange import exchanged

_NO_LOCKS = (
    "the file system cannot lock files, so two runs could spoil each other's work: set DERMA_DATA_DIR to a folder on "
    "one that can, such as a local disk"
)
_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space, then run again",
    errno.EDQUOT: "the disk quota is used up: free some space, then run again",
    errno.EFBIG: "the file is too large for this process or file system: raise the limit (ulimit -f), then run again",
    errno.EACCES: "permission denied: make the folder writable or set DERMA_DATA_DIR to one that is",
    errno.EPERM: "permission denied: make the folder writable or set DERMA_DATA_DIR to one that is",
    errno.EROFS: "the file system is read-only: set DERMA_DATA_DIR to a folder that can be written",
    errno.ENOTDIR: "a part of the path is a file, not a folder: set DERMA_DATA_DIR to another folder",
    errno.EEXIST: "a part of the path is a file, not a folder: set DERMA_DATA_DIR to another folder",
    errno.ENOLCK: _NO_LOCKS,
    errno.ENOSYS: _NO_LOCKS,
    errno.EOPNOTSUPP: _NO_LOCKS,
}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an operating-system error while writing `path` into a `StorageError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _ADVICE:
            raise
        raise StorageError(
            f"cannot write {path}: {_ADVICE[error.errno]}. What was stored there before is untouched."
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write a file or a folder to; it takes the place of `path` on success.

    On any error the unfinished output is removed and `path` stays as it was; what a killed process has left of an
    earlier attempt is put back or removed. A file is replaced by one atomic rename, a folder by one atomic exchange;
    on a file system that cannot exchange, a folder is absent for the instant between two renames, and the old one is
    put back if the second fails.

    Raises:
        StorageError: the output cannot be written (disk full, no permission, read-only).
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp{path.suffix}")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        restore_interrupted_swap(path)
        for left in _left_beside(path, rf"\.(tmp{re.escape(path.suffix)}|old)(\.claim)?"):
            remove_left(left)
        claim(beside)
        try:
            yield beside
            sync(beside)
            _swap(beside, path)
        finally:
            remove(beside)
            unclaim(beside)


def restore_interrupted_swap(path: Path) -> None:
    """Put the old folder back at `path` if a process was killed between the two renames that replace a folder."""
    if not path.exists():
        # At most one: whoever replaces `path` while it is there removes those before.
        for set_aside in _left_beside(path, r"\.old"):
            if not is_claimed(set_aside):
                os.rename(set_aside, path)
                return


def _left_beside(path: Path, ending: str) -> list[Path]:
    """Return the hidden files and folders that `replacing` names after `path`, and not after another name."""
    if not path.parent.is_dir():
        return []
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}{ending}")
    return sorted(beside for beside in path.parent.iterdir() if name.fullmatch(beside.name))


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder to `target`, which must not exist.

    Not shutil.copytree: it hides the reason of a failure, such as a full disk, in a list of texts.

    Raises:
        OSError: the first file that could not be copied, with its reason.
    """
    target.mkdir(parents=True)
    for below in sorted(source.rglob("*")):
        copy = target / below.relative_to(source)
        if below.is_dir():
            copy.mkdir()
        else:
            shutil.copyfile(below, copy)


def link_folder(source: Path, target: Path) -> None:
    """Make the folder `target`, which must not exist, with the files of `source`: hard links, else copies.

    Only for files that are replaced and never written into, as everything in the store.

    Raises:
        OSError: the first file that could be neither linked nor copied, with its reason.
    """
    target.mkdir(parents=True)
    for below in sorted(source.rglob("*")):
        made = target / below.relative_to(source)
        if below.is_dir():
            made.mkdir()
            continue
        link_or_copy(below, made)


def link_or_copy(source: Path, target: Path) -> None:
    """Make a file appear in a second place: as a hard link, else as a copy. Only for files that are never written into.

    Raises:
        OSError: neither can be made.
    """
    try:
        os.link(source, target)
    except OSError:  # Another disk, or one that knows no links.
        shutil.copyfile(source, target)


def sync(path: Path) -> None:
    """Flush a file, or all files of a folder, to the disk, so that a power cut cannot leave a renamed but empty file.

    Raises:
        OSError: there is no room for what was written; some file systems find that out only now.
    """
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())


def _swap(new: Path, path: Path) -> None:
    if not (new.is_dir() and path.exists()) and not path.is_dir():
        os.replace(new, path)
        return
    if new.exists() and exchanged(new, path):
        return  # what was there is where the new one was, and goes with it
    old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
    claim(old)
    try:
        os.rename(path, old)
        try:
            os.rename(new, path)
        except OSError:
            os.rename(old, path)
            raise
        remove(old)
    finally:
        unclaim(old)
