"""Storing a new version of an asset, in the one order that neither a kill nor a full disk can spoil."""

from collections.abc import Callable
from pathlib import Path

from derma_assets.storage.atomic import replacing, sync
from derma_assets.storage.published import publish
from derma_assets.storage.records import StoredRecord, record_path, writing_record


def store_new(
    store: Path,
    name: str,
    stored: Path,
    write: Callable[[Path], None],
    record_it: Callable[[Path], StoredRecord | None],
    partition: str | None = None,
    *,
    anew: bool = False,
) -> None:
    """Replace what is stored of an asset, and publish it.

    The new content and the new record are on the disk before the old record goes: a full disk, also one that is only
    found when what was written is flushed, changes nothing. A kill leaves the old, or the new without a record.

    Args:
        store: Folder of the stored assets.
        name: Of the asset.
        stored: Where the asset is kept, or its partition.
        write: Writes the new file or folder to the path that it is given.
        record_it: Returns the record of what was written there. None: it gets no record and is not published.
        partition: Which one, if the asset has partitions.
        anew: Put each file into object storage, whatever is there already.

    Raises:
        StorageError: it cannot be written, and nothing has changed; or it was written here and cannot be published.
    """
    record, written = record_path(store, name, partition), None
    with writing_record(record) as keep, replacing(stored) as beside:
        write(beside)
        sync(beside)
        written = record_it(beside)
        if written is not None:
            keep(written)
        # Without it a process killed before the new record is there would leave that of the old content.
        record.unlink(missing_ok=True)
    if written is not None:
        publish(store, name, stored, written, partition, anew=anew)
