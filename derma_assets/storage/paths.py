"""Where each asset is kept below the store's root, and where unfinished work lies meanwhile. Free of Dagster."""

import urllib.parse
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from derma_assets.storage.atomic import explained
from derma_assets.storage.claims import claim, remove, remove_left, unclaim

# The ending of a stored asset by the key of its IO manager.
EXTENSIONS = {"table": ".parquet", "document": ".json", "keras_model": ".keras", "folder": ""}

_BUILDING = ".building"
_COPIES = ".copies"


def store_path(root: Path, storage: str, dataset: str) -> Path:
    """Return the folder of the stored assets of a data set; of object storage, that of the working copy.

    Args:
        root: Folder that everything a run writes goes under.
        storage: Empty, a local folder, or an address such as s3://bucket/prefix.
        dataset: The data sets never overwrite each other.
    """
    if "://" in storage:
        return _copy_of(storage.rstrip("/"), root / "store") / dataset
    return (Path(storage).expanduser().resolve() if storage else root / "store") / dataset


def _copy_of(address: str, below: Path) -> Path:
    """Return the folder of the working copies of an address: its name is the address, so it says what it copies."""
    return below / _COPIES / urllib.parse.quote(address, safe="")


def address_of_copy(folder: Path) -> str | None:
    """Return the address of the object storage that a folder is the working copy of, or None of a local one.

    Args:
        folder: A `store_path` or a `promoted_path`.
    """
    if folder.parent.parent.name != _COPIES:
        return None
    return f"{urllib.parse.unquote(folder.parent.name)}/{folder.name}"


def stored_path(store: Path, asset: str, io_manager_key: str) -> Path:
    """Return where the IO manager `io_manager_key` keeps `asset`; nothing needs to be there yet."""
    return store / f"{asset}{EXTENSIONS[io_manager_key]}"


def stored_partition(store: Path, asset: str, partition: str, io_manager_key: str) -> Path:
    """Return where the IO manager `io_manager_key` keeps one partition of `asset`."""
    return store / asset / f"{partition}{EXTENSIONS[io_manager_key]}"


def stored_partitions(store: Path, asset: str, io_manager_key: str) -> dict[str, Path]:
    """Return where the IO manager `io_manager_key` keeps the partitions of `asset` that are there, by name."""
    ending = EXTENSIONS[io_manager_key]
    found = sorted((store / asset).glob(f"*{ending}")) if (store / asset).is_dir() else []
    return {path.name.removesuffix(ending): path for path in found if not path.name.startswith(".")}


def stored_anywhere(store: Path, asset: str) -> Path | None:
    """Return where `asset` is kept, by whichever IO manager, or None if it is not stored."""
    paths = (stored_path(store, asset, key) for key in EXTENSIONS)
    return next((path for path in paths if path.exists()), None)


def unpacked_release_path(root: Path) -> Path:
    """Return where the released bundle is unpacked to be served, below the folder of everything a run writes."""
    return root / "build" / "released_bundle"


def promoted_path(root: Path, dataset: str, storage: str = "") -> Path:
    """Return the folder of the promoted bundles of a data set; with object storage, that of the working copy.

    Args:
        root: Folder that everything a run writes goes under.
        dataset: Each data set has served bundles of its own.
        storage: As of `store_path`. What is served lies below a local `root` in any case, for whoever serves it.
    """
    if "://" in storage:
        return _copy_of(f"{storage.rstrip('/')}/served", root / "served") / dataset
    return root / "served" / dataset


def scratch_path(store: Path, purpose: str) -> Path:
    """Return the folder below the store for unfinished work of one purpose, such as interrupted training."""
    return store / ".unfinished" / purpose


def store_of_scratch(path: Path) -> Path:
    """Return the store that a file in a `scratch_path` belongs to."""
    return path.parent.parent.parent


@contextmanager
def building_folder(store: Path, asset: str) -> Iterator[Path]:
    """Yield a path to build the folder of `asset` at, on the store's own disk, so that storing it is one rename.

    On an error what was built is removed; what a killed run has left is removed by the next one.

    Raises:
        StorageError: it cannot be written there (disk full, no permission, read-only).
    """
    below = store / _BUILDING
    folder = below / f"{asset}.{uuid.uuid4().hex[:8]}"
    with explained(store / asset):
        below.mkdir(parents=True, exist_ok=True)
        for left in below.iterdir():
            remove_left(left)
        claim(folder)
        try:
            yield folder
        except BaseException:
            remove(folder)
            raise
        finally:
            if not folder.exists():
                unclaim(folder)


def move_built(folder: Path, path: Path) -> None:
    """Move a folder that was built in the store's `building_folder` to `path`."""
    folder.rename(path)
    unclaim(folder)


def is_built_beside(folder: Path, stored: Path) -> bool:
    """Return whether `folder` was built in the `building_folder` of the store that keeps `stored`."""
    return folder.parent.name == _BUILDING and folder.parent.parent == stored.parent


def how_to_store(asset: str, path: Path) -> str:
    """Return a message for a person: `asset` is not at `path` yet, and the command that puts it there."""
    return (
        f"{asset} has not been stored yet (looked for {path}). "
        f"Materialize it first: dagster asset materialize -m derma_assets.definitions --select '*{asset}'"
    )
