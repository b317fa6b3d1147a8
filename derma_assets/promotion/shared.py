"""What is served, for all machines that share object storage: the bucket decides, a machine's folder is a working copy.

| key below `served/<data set>` | what |
| --- | --- |
| `promoted/<SHA-256>/<name>` | a file of a promoted bundle, or of what the gate compares with; never overwritten |
| `served.json` | the promoted bundles that are kept, the SHA-256 of each of their files, and which one is served |

`served.json` is one object, put after the files it names: every machine sees all of a promotion, or of a way back, or
nothing of it. It is put only if it is as it was when this machine last copied it, so nobody undoes unseen what another
machine has done meanwhile. Of a local folder all of this does nothing.
"""

import json
import logging
import os
import re
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from derma_assets.errors import DamagedError, StorageError
from derma_assets.storage.atomic import explained, replacing
from derma_assets.storage.claims import remove
from derma_assets.storage.fingerprint import sha256_of_files
from derma_assets.storage.locks import held_here, holding
from derma_assets.storage.published import DAY_S
from derma_assets.storage.remote import RemoteStore, fill, remote_of

# The link that names the folder that is served.
CURRENT = "current"
FILES, INDEX = "promoted", "served.json"
# Beside the folders of a copy: the index that they were copied by.
_COPIED = ".copied.json"

_OF_THE_SERVED = (
    "{address} has lost a file of what is served, number {name}: materialize released_bundle with DERMA_FORCE=1 "
    f"on a machine that has a whole copy, which puts it back; if none has, remove {INDEX} there: the next bundle is "
    "promoted without a comparison. ({error})"
)

_log = logging.getLogger(__name__)


class Overtaken(StorageError):
    """Another machine has promoted or gone back since this one looked."""


@dataclass(frozen=True)
class Index:
    """What a bucket has of a data set's promoted bundles.

    Attributes:
        current: Name of the folder that is served, such as `0002`.
        folders: Of each folder that is kept, the SHA-256 of each file by its path below it.
    """

    current: str
    folders: dict[str, dict[str, str]]

    def keys(self) -> dict[str, tuple[str, str]]:
        """Return folder and file of each key that it names; of equal files, of one."""
        return {
            key(file, sha256): (folder, file)
            for folder, files in self.folders.items()
            for file, sha256 in files.items()
        }

    @classmethod
    def of(cls, document: dict[str, Any] | None) -> "Index | None":
        """Return what was put, or None if nothing was.

        Raises:
            StorageError: it is not what this module puts.
        """
        if document is None:
            return None
        try:
            found = cls(**document)
            paths = [PurePosixPath(file) for files in found.folders.values() for file in files]
            hashes = [sha256 for files in found.folders.values() for sha256 in files.values()]
            # Nobody may have a file written outside the working copy.
            safe = all(re.fullmatch("[0-9]{4}", name) for name in found.folders) and not any(
                path.is_absolute() or ".." in path.parts for path in paths
            )
            whole = found.current in found.folders and all(re.fullmatch("[0-9a-f]{64}", one) for one in hashes)
        except (TypeError, AttributeError):
            safe = whole = False
        if not (safe and whole):
            raise StorageError(
                f"{INDEX} in object storage is not what was written: put an earlier version of the object back, or "
                "remove it, then materialize released_bundle. What this machine serves is untouched."
            )
        return found


def key(file: str, sha256: str) -> str:
    """Return the key of a file, given its path below a promoted folder."""
    return f"{FILES}/{sha256}/{PurePosixPath(file).name}"


def alone(folder: Path) -> AbstractContextManager[None]:
    """Return what keeps other processes of this machine from changing what is served meanwhile; it may be nested.

    Args:
        folder: Folder of the promoted bundles.
    """
    store, name = folder.parent, (folder.name, None)
    if held_here(store, name) == "write":
        return nullcontext()
    return holding(store, writes=[name], does="changes what is served", say=tqdm.write)


def numbered(folder: Path) -> list[Path]:
    """Return the folders that are named as promoted bundles are, oldest first."""
    return sorted(folder.glob("[0-9]" * 4))


def linked(folder: Path) -> str | None:
    """Return what the link of what is served names, None if there is no link; it need not be there or whole."""
    link = folder / CURRENT
    return os.readlink(link) if link.is_symlink() else None


def link_to(folder: Path, name: str) -> None:
    """Let the link of what is served name another folder: one rename, so that it always names one.

    Raises:
        StorageError: the link cannot be written; it names what it named.
    """
    beside, link = folder / f".{CURRENT}", folder / CURRENT
    with explained(link):
        beside.unlink(missing_ok=True)
        beside.symlink_to(name)
        os.replace(beside, link)


def pull(folder: Path) -> None:
    """Bring a working copy to what the bucket has: folders, their files, and which one is served.

    What is served comes first and is switched to once it is whole. A file that is not as it was put is fetched anew, a
    folder that the bucket does not have goes, and so does, with a warning, one of which the bucket has lost something,
    unless it is the one that is served. Where the bucket has nothing at all, the copy stays as it is: whatever is
    promoted next puts all of it back.

    Raises:
        StorageError: object storage cannot be reached, or has lost a file of what is served; what was served still is.
    """
    remote = remote_of(folder)
    if remote is None:
        return
    with alone(folder):
        index = Index.of(remote.read_document(INDEX))
        if index is None:
            (folder / _COPIED).unlink(missing_ok=True)
            return
        for name in sorted(index.folders, key=lambda name: (name == index.current, name), reverse=True):
            try:
                _bring(remote, folder / name, index.folders[name])
            except DamagedError as error:
                if name == index.current:
                    raise DamagedError(_OF_THE_SERVED.format(address=remote.address, name=name, error=error)) from None
                _log.warning("nobody can go back to number %s in %s any more: %s", name, remote.address, error)
                remove(folder / name)
            if name == index.current != linked(folder):
                link_to(folder, name)
        for path in numbered(folder):
            if path.name not in index.folders:
                remove(path)
        _keep(folder, index)


def push(folder: Path, index: Index) -> None:
    """Put what is new in a working copy into the bucket, and let it be served from then on by every machine.

    Files first, then the index. Of files that no index names any more those older than a day are removed after it.

    Args:
        folder: The working copy, as the last `pull` has left it but for what is new.
        index: What the bucket is to have.

    Raises:
        Overtaken: the bucket is no longer as it was then.
        StorageError: object storage cannot be reached; what was served there still is.
    """
    remote = remote_of(folder)
    if remote is None:
        return
    before = _copied(folder)
    there = _put_files(remote, folder, index, before)
    version = remote.version(INDEX)
    if Index.of(remote.read_document(INDEX)) != before or not remote.replace_document(INDEX, asdict(index), version):
        raise Overtaken(
            f"another machine has changed what is served from {remote.address} at the same moment: run it again. "
            "What is served was not changed by this one."
        )
    _keep(folder, index)
    # What the last index named may be on its way to some machine.
    named = index.keys().keys() | (before.keys().keys() if before else set())
    _remove_old(remote, {one: about for one, about in there.items() if one not in named})


def put_back(folder: Path, anew: bool = False) -> None:
    """Put into the bucket what it names and has no longer, from a working copy as `pull` has left it.

    Args:
        folder: The working copy.
        anew: Put every file, also one that seems to be there: its bytes may have been damaged.

    Raises:
        StorageError: object storage cannot be reached.
    """
    remote, index = remote_of(folder), _copied(folder)
    if remote is not None and index is not None:
        _put_files(remote, folder, index, index, anew)


def _put_files(
    remote: RemoteStore, folder: Path, index: Index, before: Index | None, anew: bool = False
) -> dict[str, dict[str, Any]]:
    """Put the files of an index that the bucket does not have, and return what it had before, see `objects`."""
    there = remote.objects(FILES)
    named = before.keys() if before else {}
    # One that no index names may be removed any moment: put it anew, which makes it young.
    young = time.time() - DAY_S / 2
    kept = {
        one for one, about in there.items() if not anew and (one in named or about["LastModified"].timestamp() > young)
    }
    files = {one: path for one, where in index.keys().items() if (path := folder.joinpath(*where)).is_file()}
    remote.upload({
        one: path for one, path in files.items() if one not in kept or there[one]["size"] != path.stat().st_size
    })  # fmt: skip
    return there


def _remove_old(remote: RemoteStore, unnamed: dict[str, dict[str, Any]]) -> None:
    old = [one for one, about in unnamed.items() if time.time() - about["LastModified"].timestamp() > DAY_S]
    try:
        remote.remove(sorted(old))
    except StorageError as error:
        _log.warning("%s The next promotion tries again.", error)


def _bring(remote: RemoteStore, path: Path, files: dict[str, str]) -> None:
    """Make a folder what the bucket has of it, fetching only what differs."""
    if path.is_dir() and sha256_of_files(path) == files:
        return
    with replacing(path) as beside:
        beside.mkdir()
        fill(remote, path, beside, {file: (key(file, sha256), sha256) for file, sha256 in files.items()})


def _copied(folder: Path) -> Index | None:
    """Return the index that a working copy was last brought to, or None of one that never was."""
    try:
        return Index.of(json.loads((folder / _COPIED).read_text()))
    except (OSError, ValueError, StorageError):
        return None


def _keep(folder: Path, index: Index) -> None:
    with replacing(folder / _COPIED) as beside:
        beside.write_text(json.dumps(asdict(index)))
