"""What is stored of each asset, in a local store and in object storage alike.

A local store is the folder itself. Object storage has a working copy with the same layout: an asset is written there,
then published; what is read is fetched into it first. `docs/storage.md` shows both layouts.

Published are first the files, each under a key that holds its SHA-256, so that none is ever overwritten by another and
one that several assets or versions have is there once; then the record, one object that names them: an asset is all old
or all new, whoever reads it, and wherever a writer is killed.
"""

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from derma_assets.errors import DamagedError, StorageError
from derma_assets.storage.atomic import explained, replacing, restore_interrupted_swap
from derma_assets.storage.locks import Name, held_here, holding
from derma_assets.storage.paths import store_of_scratch, stored_partition, stored_partitions, stored_path
from derma_assets.storage.records import (
    StoredRecord,
    check_path,
    damaged_files,
    read_check,
    read_record,
    record_path,
    write_check,
    writing_record,
)
from derma_assets.storage.remote import RemoteStore, fill, remote_of

FILES, UNFINISHED = "files", "unfinished"
# What no record names is left alone for so long: somebody may be about to name it.
DAY_S = 24 * 3600

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """What object storage says of an asset, or of one partition of it: the object that commits it.

    Attributes:
        record: As a local store has it.
        stored_as: The asset's path below the store.
        bytes_of: Of each file, by the same names as the record's hashes.
        stored_at: When it was stored, in seconds since 1970.
    """

    record: StoredRecord
    stored_as: str
    bytes_of: dict[str, int]
    stored_at: float

    def key(self, file: str) -> str:
        """Return the key of one of the files."""
        return f"{FILES}/{self.record.sha256[file]}/{Path(self.stored_as if file == '.' else file).name}"

    def document(self) -> dict[str, Any]:
        """Return what is put."""
        return asdict(self)

    @classmethod
    def of(cls, document: dict[str, Any] | None) -> "Published | None":
        """Return what was put, or None if there is none, or none that can be used."""
        try:
            found = None if document is None else cls(**{**document, "record": StoredRecord(**document["record"])})
            paths = [] if found is None else [Path(path) for path in (found.stored_as, *found.record.sha256)]
        except (TypeError, KeyError):
            return None
        # Nobody else's record may have a file written outside the working copy.
        return None if any(path.is_absolute() or ".." in path.parts for path in paths) else found


def known_record(store: Path, name: str, partition: str | None = None) -> StoredRecord | None:
    """Return the record of what is stored of an asset, or None.

    Raises:
        StorageError: object storage cannot be asked.
    """
    remote, record = remote_of(store), record_path(store, name, partition)
    if remote is None:
        return read_record(record)
    published = _published(remote, store, record)
    return None if published is None else published.record


def missing_files(store: Path, name: str, stored: Path, partition: str | None = None) -> list[str]:
    """Return the files of what is stored of an asset that are not as they were written.

    In object storage their sizes are looked at, not their bytes: those are when they are fetched.

    Raises:
        StorageError: object storage cannot be asked.
    """
    remote, record = remote_of(store), record_path(store, name, partition)
    if remote is None:
        known = read_record(record)
        return [] if known is None else damaged_files(stored, known)
    published = _published(remote, store, record)
    if published is None:
        return []
    sizes = {published.key(file): size for file, size in published.bytes_of.items()}
    there = remote.about(sizes)
    return [key for key, size in sizes.items() if there.get(key, {}).get("size") != size]


def publish(
    store: Path,
    name: str,
    stored: Path,
    record: StoredRecord,
    partition: str | None = None,
    anew: bool = False,
) -> None:
    """Put what was written at `stored` into object storage, for everyone to read; of a local store they read that.

    The caller holds the asset's lock, so that no other process of this machine replaces it meanwhile.

    Args:
        store: Folder of the stored assets.
        name: The asset's.
        stored: Where it is.
        record: What is known of it.
        partition: Which, if it is one.
        anew: Put every file, also one that seems to be there: its bytes may have been damaged.

    Raises:
        StorageError: object storage cannot be reached; the old version is still there.
    """
    remote, path = remote_of(store), record_path(store, name, partition)
    if remote is None:
        return
    local = {file: stored if file == "." else stored / file for file in record.sha256}
    sizes = {file: path.stat().st_size for file, path in local.items()}
    published = Published(record, stored.relative_to(store).as_posix(), sizes, time.time())
    before = _published(remote, store, path)
    named = {before.key(file) for file in before.record.sha256} if before else set()
    files = {published.key(file): local[file] for file in record.sha256}
    # One that no record names may be removed any moment, see storage/clean.py: put it anew, which makes it young.
    young = time.time() - DAY_S / 2
    kept = {
        key
        for key, about in ({} if anew else remote.about(files)).items()
        if about["size"] == files[key].stat().st_size and (key in named or about["LastModified"].timestamp() > young)
    }
    remote.upload({key: file for key, file in files.items() if key not in kept})
    remote.write_document(_key(store, path), published.document())


def publish_again(
    store: Path, name: str, stored: Path, made_from: str, partition: str | None = None
) -> StoredRecord | None:
    """Publish what was made of the same origins before and is still in the working copy; return its record, or None.

    That is so after a run that could not reach object storage once all was computed, or where it was emptied since.

    Raises:
        StorageError: object storage cannot be reached.
    """
    record = read_record(record_path(store, name, partition))
    if remote_of(store) is None or record is None or record.made_from != made_from or damaged_files(stored, record):
        return None
    publish(store, name, stored, record, partition)
    return record


def fetch(store: Path, name: str, partition: str | None = None) -> StoredRecord | None:
    """Bring what is stored of an asset into the working copy, and return its record, or None if nothing is stored.

    Files that are there and as they were written are not fetched again. A local store is left as it is, and so is what
    this thread holds to read: that is not replaced under its hands.

    Raises:
        StorageError: object storage cannot be reached, or a file has been damaged there.
    """
    remote, path, asset = remote_of(store), record_path(store, name, partition), (name, partition)
    if remote is None:
        return read_record(path)
    published, held = _published(remote, store, path), held_here(store, asset)
    if published is None:
        return None
    if held == "read":
        return read_record(path)
    if held == "write":
        return _renew(remote, store, path)
    if _is_here(store, published, path):
        return published.record
    with holding(store, writes=[asset], does=f"fetches {name}", say=_log.info):
        return _renew(remote, store, path)


def not_here(store: Path, records: Mapping[Name, StoredRecord | None]) -> list[Name]:
    """Return which assets' working copies are not what these records say, and so have to be fetched.

    Raises:
        StorageError: object storage cannot be reached.
    """
    remote, absent = remote_of(store), []
    if remote is None:
        return []
    for asset, record in records.items():
        path = record_path(store, *asset)
        published = _published(remote, store, path)
        if published is not None and (published.record != record or not _is_here(store, published, path)):
            absent.append(asset)
    return absent


def _renew(remote: RemoteStore, store: Path, path: Path) -> StoredRecord | None:
    """Put what is published now in the place of what is in the working copy."""
    published = _published(remote, store, path)
    if published is None:
        return None
    if not _is_here(store, published, path):
        stored = store / published.stored_as
        if damaged_files(stored, published.record):
            # Without it a process killed before the new record is there would leave that of the old content.
            path.unlink(missing_ok=True)
            _replace(remote, stored, published)
        with writing_record(path) as keep:
            keep(published.record)
    return published.record


def _is_here(store: Path, published: Published, path: Path) -> bool:
    """Return whether the working copy is what is published; its bytes are read once in a process."""
    stored = store / published.stored_as
    restore_interrupted_swap(stored)
    if read_record(path) != published.record:
        return False
    looks = _looks(stored)
    if _seen.get(stored) != (published.record, looks):
        if damaged_files(stored, published.record):
            return False
        _seen[stored] = (published.record, looks)
    return True


# What this process has found to be as the record says, and how it looked then: the bytes need not be read again.
_seen: dict[Path, tuple[StoredRecord, Any]] = {}


def _looks(stored: Path) -> list[tuple[str, int, int, int]]:
    files = sorted(stored.rglob("*")) if stored.is_dir() else [stored] if stored.exists() else []
    return [(str(file), (at := file.stat()).st_size, at.st_mtime_ns, at.st_ino) for file in files if file.is_file()]


def _replace(remote: RemoteStore, stored: Path, published: Published) -> None:
    """Put the published version in the place of what is at `stored`, fetching only the files that differ."""
    with replacing(stored) as beside:
        files = {file: (published.key(file), sha256) for file, sha256 in published.record.sha256.items()}
        fill(remote, stored, beside, files)
        for file in published.record.sha256:
            # Reports say when a thing was made by the time of its file.
            os.utime(beside if file == "." else beside / file, (published.stored_at, published.stored_at))
        os.utime(beside, (published.stored_at, published.stored_at))


def what_was_stored(store: Path, asset: str, io_manager_key: str) -> Path | None:
    """Return where an earlier version of an asset is that the next one may take something from, or None.

    None too, with a warning, where it is not as its record says: what is damaged would be copied, under a new hash.

    Raises:
        StorageError: object storage cannot be reached.
    """
    try:
        stored = fetched_path(store, asset, io_manager_key)
    except DamagedError as error:
        _log.warning("%s Nothing is taken from it.", error)
        return None
    if not stored.exists():
        return None
    record = read_record(record_path(store, asset))
    damaged = damaged_files(stored, record) if record else []
    if damaged:
        _log.warning(
            "%s is damaged (%s: not the bytes that were written): nothing is taken from it", stored, damaged[0]
        )
        return None
    return stored


def is_stored(store: Path, asset: str, io_manager_key: str) -> bool:
    """Return whether a version of an asset is stored, be it damaged or not.

    Raises:
        StorageError: object storage cannot be asked.
    """
    if remote_of(store) is None:
        return stored_path(store, asset, io_manager_key).exists()
    return known_record(store, asset) is not None


def place_of(store: Path, asset: str, io_manager_key: str) -> str:
    """Return where a person finds a stored asset: its file, or the object that names its files."""
    remote = remote_of(store)
    if remote is None:
        return str(stored_path(store, asset, io_manager_key))
    return f"{remote.address}/{_key(store, record_path(store, asset))}"


def fetched_path(store: Path, asset: str, io_manager_key: str) -> Path:
    """Return where `asset` is kept, fetched if need be; nothing is there if it has not been stored."""
    return _fetched(store, asset, stored_path(store, asset, io_manager_key))


def fetched_partition(store: Path, asset: str, partition: str, io_manager_key: str) -> Path:
    """Return where one partition of `asset` is kept, fetched if need be; nothing is there if it has not been stored."""
    return _fetched(store, asset, stored_partition(store, asset, partition, io_manager_key), partition)


def fetched_partitions(store: Path, asset: str, io_manager_key: str) -> dict[str, Path]:
    """Return where the partitions of `asset` are kept that are stored, by name, fetched if need be."""
    remote = remote_of(store)
    if remote is None:
        return stored_partitions(store, asset, io_manager_key)
    below = _key(store, record_path(store, asset, "*")).removesuffix("*.json")
    names = sorted(key.removeprefix(below).removesuffix(".json") for key in remote.objects(below.rstrip("/")))
    return {name: fetched_partition(store, asset, name, io_manager_key) for name in names}


def _fetched(store: Path, asset: str, stored: Path, partition: str | None = None) -> Path:
    if remote_of(store) is not None and fetch(store, asset, partition) is None:
        # A version that could not be published is in the way: nobody else has it, so it is not read either.
        return stored.with_name(f".{stored.name}.not_stored")
    return stored


def share_unfinished(path: Path) -> None:
    """Put a file of unfinished work into object storage too, so that another machine can go on with it.

    Args:
        path: In a `scratch_path`. Work goes on where it cannot be put; that is only logged.
    """
    remote = remote_of(store_of_scratch(path))
    if remote is not None:
        try:
            remote.upload({_unfinished_key(path): path})
        except StorageError as error:
            _log.warning("another machine could not go on with %s: %s", path.name, error)


def find_unfinished(path: Path) -> None:
    """Fetch a file of unfinished work that is not at `path`, if object storage has it.

    Raises:
        StorageError: object storage cannot be reached.
    """
    remote, key = remote_of(store_of_scratch(path)), _unfinished_key(path)
    if remote is not None and not path.exists() and key in remote.objects(UNFINISHED):
        with replacing(path) as beside:
            remote.download({key: (beside, None)})


def _unfinished_key(path: Path) -> str:
    return f"{UNFINISHED}/{path.parent.name}/{path.name}"


def known_check(store: Path, check: str) -> dict[str, Any] | None:
    """Return what was kept of the last time that a check passed, or None.

    Raises:
        StorageError: object storage cannot be asked.
    """
    remote, path = remote_of(store), check_path(store, check)
    return read_check(path) if remote is None else remote.read_document(_key(store, path))


def keep_check(store: Path, check: str, document: dict[str, Any]) -> None:
    """Keep what a check said that has passed.

    Raises:
        StorageError: it cannot be written.
    """
    remote, path = remote_of(store), check_path(store, check)
    if remote is None:
        write_check(path, document)
    else:
        remote.write_document(_key(store, path), document)


def forget_check(store: Path, check: str) -> None:
    """Forget that a check has passed, if it has.

    Raises:
        StorageError: it cannot be removed.
    """
    remote, path = remote_of(store), check_path(store, check)
    if remote is None:
        with explained(path):
            path.unlink(missing_ok=True)
    else:
        remote.remove([_key(store, path)])


def _published(remote: RemoteStore, store: Path, record: Path) -> Published | None:
    return Published.of(remote.read_document(_key(store, record)))


def _key(store: Path, path: Path) -> str:
    return path.relative_to(store).as_posix()
