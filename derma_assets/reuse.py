"""Nothing is computed twice: an asset whose origins are as they were answers with what is stored.

Dagster runs every selected asset, changed or not (dagster-io/dagster issue 14842). Here an asset first compares the
fingerprint of all that decides its content (its code version, which holds the settings it reads, its run config, and
the data versions of what it is made from) with that in the record of what is stored. If they are equal and the
stored files are intact, it gives the same data version and metadata again, with `reused` true, and computes nothing.
Content decides, not times.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from derma_assets.storage.fingerprint import fingerprint_json
from derma_assets.storage.paths import stored_partition, stored_path
from derma_assets.storage.records import StoredRecord, damaged_files, read_record, record_path

_DATA_VERSION_TAG = "dagster/data_version"

# Metadata of a result that is on its way to the store: what its record will say.
MADE_FROM, DATA_VERSION = "made_from", "data_version"


class Reuse(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where stored results are looked for, and whether to look at all."""

    store: str
    force: bool = False


def reusing(compute: Callable[..., Any], io_manager_keys: Mapping[str, str], look: bool = True) -> Callable[..., Any]:
    """Wrap an asset's function: it is not called where all that was asked for is stored and would come out the same.

    Args:
        compute: Returns a `MaterializeResult`, or yields several.
        io_manager_keys: Key of the IO manager of each asset that it makes, by name.
        look: Whether to look for what is stored; what is computed gets a record in any case.
    """

    def run(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
        context = dg.AssetExecutionContext.get()
        names = [key.path[-1] for key in context.selected_asset_keys]
        made_from = _origin(context)
        reused = {name: _reusable(context, name, io_manager_keys[name], made_from) for name in names}
        if look and made_from and all(reused.values()):
            for name, record in reused.items():
                assert record is not None
                yield _again(context, name, record)
            return
        computed = compute(*args, **kwargs)
        for result in computed if inspect.isgenerator(computed) else [computed]:
            yield _stamped(result, made_from)

    @functools.wraps(compute)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        (result,) = run(args, kwargs)
        return result

    @functools.wraps(compute)
    def wrapped_generator(*args: Any, **kwargs: Any) -> Any:
        yield from run(args, kwargs)

    return wrapped_generator if inspect.isgeneratorfunction(compute) else wrapped


def _stamped(result: Any, made_from: str) -> Any:
    """Return the result with what its record will say, which the IO manager reads from the metadata."""
    if not isinstance(result, dg.MaterializeResult):
        return result
    version = result.data_version.value if result.data_version else ""
    stamp = {MADE_FROM: made_from, DATA_VERSION: version, "reused": False}
    return result._replace(metadata={**(result.metadata or {}), **stamp})


def _origin(context: dg.AssetExecutionContext) -> str:
    """Return the fingerprint of all that decides what a step gives; empty if something upstream has no record."""
    store = Path(context.resources.reuse.store)
    upstream = {}
    for name, key in context.assets_def.keys_by_input_name.items():
        records = [read_record(record_path(store, key.path[-1], part)) for part in _partitions(context, name)]
        if not all(records):
            return ""
        upstream[key.path[-1]] = [record.data_version for record in records if record]
    codes = context.assets_def.code_versions_by_key
    return fingerprint_json(
        {
            "code": {key.path[-1]: codes.get(key) for key in context.assets_def.keys},
            "partition": context.partition_key if context.has_partition_key else None,
            "config": context.op_execution_context.op_config,
            "upstream": upstream,
        }
    )


def _partitions(context: dg.AssetExecutionContext, input_name: str) -> list[str | None]:
    key = context.assets_def.keys_by_input_name[input_name]
    node = context.job_def.asset_layer.get(key)
    return [None] if node.partitions_def is None else [*context.asset_partition_keys_for_input(input_name)]


def _reusable(context: dg.AssetExecutionContext, name: str, key: str, made_from: str) -> StoredRecord | None:
    """Return the record of what is stored of an asset, if it would come out the same and is intact."""
    reuse = context.resources.reuse
    store, partition = Path(reuse.store), context.partition_key if context.has_partition_key else None
    record = read_record(record_path(store, name, partition))
    if reuse.force or record is None or record.made_from != made_from:
        return None
    stored = stored_path(store, name, key) if partition is None else stored_partition(store, name, partition, key)
    damaged = damaged_files(stored, record)
    if damaged:
        context.log.warning(
            f"{stored} is damaged ({', '.join(damaged[:3])}: not the bytes that were written): {name} is made again"
        )
        return None
    return record


def _again(context: dg.AssetExecutionContext, name: str, record: StoredRecord) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Return what the last run said of the stored result."""
    key = dg.AssetKey(name)
    last = context.instance.get_latest_materialization_event(key)
    said = last.asset_materialization if last else None
    # The instance may have seen another store since: what it says then is of other content.
    known = said is not None and (said.tags or {}).get(_DATA_VERSION_TAG) == record.data_version
    return dg.MaterializeResult(
        asset_key=key,
        metadata={**(said.metadata if said and known else {}), "reused": True},
        data_version=dg.DataVersion(record.data_version),
    )
