"""Remove from object storage the files that no record names any more: `python -m derma_assets.storage.clean`.

Every version of an asset that was replaced has left its files behind, and a training its state. They are listed; with
--remove they are removed. What is younger than a day stays: a run may be about to name it, or to go on with it. Where
one record cannot be read nothing is removed, for it may name any of them.
"""

import argparse
import sys
import time

from derma_assets.errors import InputError, StorageError, told_to_the_user
from derma_assets.settings import settings
from derma_assets.storage.published import DAY_S, FILES, UNFINISHED, Published
from derma_assets.storage.records import CHECKS, RECORDS
from derma_assets.storage.remote import RemoteStore, remote_of


def left_behind(remote: RemoteStore) -> dict[str, int]:
    """Return the size in bytes, by key, of the files that no record names and that are older than a day.

    Raises:
        StorageError: object storage cannot be reached, or a record there is not one that this version knows.
    """
    # Files first: what is put and named meanwhile is then not among them.
    old = {
        key: int(about["size"])
        for key, about in {**remote.objects(FILES), **remote.objects(UNFINISHED)}.items()
        if time.time() - about["LastModified"].timestamp() > DAY_S
    }
    for key in remote.objects(RECORDS):
        if key.startswith(f"{RECORDS}/{CHECKS}/"):
            continue  # of a verdict, which has no files
        published = Published.of(remote.read_document(key))
        if published is None:
            raise StorageError(
                f"{remote.address}/{key} cannot be read by this version: nothing is removed. Run the version that "
                "wrote it."
            )
        for file in published.record.sha256:
            old.pop(published.key(file), None)
    return old


@told_to_the_user
def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m derma_assets.storage.clean", description=__doc__)
    parser.add_argument("--remove", action="store_true", help="remove them, rather than say which they are")
    asked = parser.parse_args(arguments)
    remote = remote_of(settings().store)
    if remote is None:
        raise InputError("nothing to clean: DERMA_STORAGE is no object storage, and a folder keeps no old files.")
    old = left_behind(remote)
    for key in sorted(old):
        print(f"{remote.address}/{key}")
    print(f"{len(old)} files that no record names, {sum(old.values()) / 1e6:,.1f} MB in all", end="")
    if asked.remove:
        remote.remove(sorted(old))
    print(": removed." if asked.remove else ". To remove them: make clean-storage REMOVE=1")


if __name__ == "__main__":
    sys.exit(main())
