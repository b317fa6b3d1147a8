"""IO managers: how each kind of asset value is kept below the store's root, written beside and renamed, then published.

| key | value in Python | stored as |
| --- | --- | --- |
| `table` | `pandas.DataFrame` | `<asset>.parquet` |
| `document` | `dict` that JSON can hold | `<asset>.json` |
| `keras_model` | `keras.Model`; read as a `StoredModel` | `<asset>.keras` |
| `folder` | `pathlib.Path` of a folder built somewhere temporary | `<asset>/` |
"""

import functools
import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd
from upath import UPath

from derma_assets.errors import StorageError
from derma_assets.reuse import DATA_VERSION, FORCED, MADE_FROM, Reuse
from derma_assets.storage.atomic import copy_folder, restore_interrupted_swap
from derma_assets.storage.paths import EXTENSIONS, how_to_store, is_built_beside, move_built
from derma_assets.storage.published import fetch, known_record
from derma_assets.storage.records import (
    StoredRecord,
    damaged_files,
    forget_loaded,
    loading,
    record_of,
    record_path,
)
from derma_assets.storage.remote import remote_of
from derma_assets.storage.stored_model import StoredModel
from derma_assets.storage.storing import store_new

if TYPE_CHECKING:
    import keras


class StoreIOManager(dg.UPathIOManager):
    """Base of the four: writes atomically and says plainly what is missing, damaged or cannot be written.

    Attributes:
        is_large: Whether a value is a place in the store that may hold gigabytes: `reuse` fetches it from object
            storage once it is clear that it will be read.
    """

    is_large = False

    def __init__(self, base_path: UPath) -> None:
        super().__init__(base_path)
        self.store = Path(base_path.path)
        self._checked: dict[Path, StoredRecord] = {}

    def dump_to_path(self, context: dg.OutputContext, obj: Any, path: UPath) -> None:
        """Write `obj` beside `path`, then rename, then publish it; what `reuse` has stamped gets a record."""
        stored = Path(path.path)
        name, partition = context.asset_key.path[-1], context.partition_key if context.has_partition_key else None
        said = {word: str(value.value) for word, value in context.output_metadata.items()}

        def record_it(beside: Path) -> StoredRecord | None:
            if MADE_FROM in said or remote_of(self.store):  # nothing is published without one
                return record_of(beside, said.get(MADE_FROM, ""), said.get(DATA_VERSION))
            return None

        try:
            write = functools.partial(self.write, obj)
            store_new(self.store, name, stored, write, record_it, partition, anew=FORCED in said)
        except StorageError as error:
            raise dg.Failure(str(error), allow_retries=False) from error

    def load_from_path(self, context: dg.InputContext, path: UPath) -> Any:
        """Read what an earlier run stored."""
        local, name = Path(path.path), context.asset_key.path[-1]
        partition = local.name.removesuffix(self.extension or "") if local.parent.name == name else None
        record = record_path(self.store, name, partition)
        try:
            if remote_of(self.store) is None:
                restore_interrupted_swap(local)
                there = local.exists()
            elif self.is_large and _is_fetched_later(context):
                forget_loaded(record)
                if known_record(self.store, name, partition) is not None:
                    return self.read(local)
                there = False
            else:
                there = fetch(self.store, name, partition) is not None
        except StorageError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        if not there:
            if (context.definition_metadata or {}).get("allow_missing_partitions"):
                raise FileNotFoundError(local)  # which Dagster takes for a partition to be left out
            raise dg.Failure(how_to_store(context.asset_key.to_user_string(), local), allow_retries=False)
        self._check(name, local, loading(record))
        return self.read(local)

    def _check(self, name: str, stored: Path, record: StoredRecord | None) -> None:
        """Stop at a file that is not as it was written; each is looked at once in a process.

        Raises:
            dagster.Failure: the message says which, and how to make it again.
        """
        if record is None or self._checked.get(stored) == record or remote_of(self.store):
            return  # what was fetched has been looked at
        damaged = damaged_files(stored, record)
        if damaged:
            raise dg.Failure(
                f"{stored} is damaged ({', '.join(damaged[:3])}: not the bytes that were written). "
                f"Make it again: dagster asset materialize -m derma_assets.definitions --select '{name}'",
                allow_retries=False,
            )
        self._checked[stored] = record

    def make_directory(self, path: UPath) -> None:
        """Leave it to `replacing`, which explains why a folder cannot be made."""

    @abstractmethod
    def write(self, obj: Any, path: Path) -> None:
        """Write `obj` to the new file or folder `path`."""

    @abstractmethod
    def read(self, path: Path) -> Any:
        """Read the file or folder `path`."""


class TableIOManager(StoreIOManager):
    """Tables as Parquet."""

    extension = EXTENSIONS["table"]

    def write(self, obj: pd.DataFrame, path: Path) -> None:
        """Write a table."""
        obj.to_parquet(path)

    def read(self, path: Path) -> pd.DataFrame:
        """Read a table."""
        return pd.read_parquet(path)


class DocumentIOManager(StoreIOManager):
    """Small documents as JSON."""

    extension = EXTENSIONS["document"]

    def write(self, obj: Mapping[str, Any], path: Path) -> None:
        """Write a document."""
        path.write_text(json.dumps(obj, indent=2) + "\n")

    def read(self, path: Path) -> dict[str, Any]:
        """Read a document."""
        return json.loads(path.read_text())


class KerasModelIOManager(StoreIOManager):
    """Keras models in Keras's own format."""

    is_large = True
    extension = EXTENSIONS["keras_model"]

    def write(self, obj: "keras.Model", path: Path) -> None:
        """Write a model."""
        obj.save(path)

    def read(self, path: Path) -> StoredModel:
        """Return the stored model, to be loaded when it is needed."""
        return StoredModel(path)


class FolderIOManager(StoreIOManager):
    """Folders of files. Read as the stored folder's path.

    One that was built in the store's own `building_folder` is moved, any other is copied.
    """

    is_large = True
    extension = EXTENSIONS["folder"]

    def write(self, obj: Path, path: Path) -> None:
        """Move or copy a folder."""
        if is_built_beside(obj, path):
            move_built(obj, path)
            return
        copy_folder(obj, path)

    def read(self, path: Path) -> Path:
        """Return the stored folder."""
        return path


def _is_fetched_later(context: dg.InputContext) -> bool:
    """Return whether the input is of a step that `reuse` wraps, which fetches what the step reads."""
    try:
        step = context.step_context
    except dg.DagsterInvariantViolationError:  # no step, so it is read right away
        return False
    return "reuse" in step.op_def.required_resource_keys


def io_managers(store: Path, force: bool = False) -> dict[str, Any]:
    """Return the IO managers by key, all below the folder `store`, and the resource `reuse` of the same store.

    Args:
        store: Folder of the stored assets.
        force: Compute everything anew, whatever is stored.
    """
    root = UPath(store)
    return {
        "reuse": Reuse(store=str(store), force=force),
        "table": TableIOManager(root),
        "document": DocumentIOManager(root),
        "keras_model": KerasModelIOManager(root),
        "folder": FolderIOManager(root),
    }
