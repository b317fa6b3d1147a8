"""Nothing is computed twice: an asset whose origins are as they were answers with what is stored.

Dagster runs every selected asset, changed or not (dagster-io/dagster issue 14842). Here an asset first compares the
fingerprint of all that decides its content (its code version, which holds the settings it reads, its run config, and
the data versions of what it is made from) with that in the record of what is stored. If they are equal and the
stored files are intact, it gives the same data version and metadata again, with `reused` true, and computes nothing.
Content decides, not times.
"""

import functools
import hashlib
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from derma_assets.storage.fingerprint import fingerprint_json
from derma_assets.storage.paths import stored_partition, stored_path
from derma_assets.storage.published import fetch, keep_check, known_check, known_record, missing_files, publish_again
from derma_assets.storage.records import StoredRecord

_DATA_VERSION_TAG = "dagster/data_version"

# Metadata of a result that is on its way to the store: what its record will say.
MADE_FROM, DATA_VERSION = "made_from", "data_version"


class Reuse(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where stored results are looked for, and whether to look at all."""

    store: str
    force: bool = False


def reusing(
    compute: Callable[..., Any],
    io_manager_keys: Mapping[str, str],
    look: bool = True,
    unversioned: Collection[str] = (),
    files: Callable[[], Iterable[Path]] = tuple,
) -> Callable[..., Any]:
    """Wrap an asset's function: it is not called where all that was asked for is stored and would come out the same.

    Args:
        compute: Returns a `MaterializeResult`, or yields several.
        io_manager_keys: Key of the IO manager of each asset that it makes, by name.
        look: Whether to look for what is stored; what is computed gets a record in any case.
        unversioned: Assets upstream that decide nothing, because another one names what is taken from them.
        files: Returns the files beside the graph whose content decides, too; they are read, so they should be small.
    """

    def run(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[dg.MaterializeResult[Any]]:
        context = dg.AssetExecutionContext.get()
        names = [key.path[-1] for key in context.selected_asset_keys]
        origins = _origins(context, unversioned, files())
        if look:
            reused = {name: _reusable(context, name, io_manager_keys[name], origins[name]) for name in names}
            if all(reused.values()):
                for name, record in reused.items():
                    assert record is not None
                    yield _again(context, name, record)
                return
        _fetch_inputs(context)
        computed = compute(*args, **kwargs)
        for result in computed if inspect.isgenerator(computed) else [computed]:
            yield _stamped(result, origins[result.asset_key.path[-1] if result.asset_key else names[0]])

    @functools.wraps(compute)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        (result,) = run(args, kwargs)
        return result

    @functools.wraps(compute)
    def wrapped_generator(*args: Any, **kwargs: Any) -> Any:
        yield from run(args, kwargs)

    return wrapped_generator if inspect.isgeneratorfunction(compute) else wrapped


def _stamped(result: Any, made_from: str) -> dg.MaterializeResult[Any]:
    """Return the result with what its record will say, which the IO manager reads from the metadata."""
    version = result.data_version.value if result.data_version else ""
    stamp = {MADE_FROM: made_from, DATA_VERSION: version, "reused": False}
    return result._replace(metadata={**(result.metadata or {}), **stamp})


def _origins(context: dg.AssetExecutionContext, unversioned: Collection[str], files: Iterable[Path]) -> dict[str, str]:
    """Return, for each asset of a step, the fingerprint of all that decides it; empty if one upstream has no record."""
    store = Path(context.resources.reuse.store)
    upstream = {}
    for name, key in context.assets_def.keys_by_input_name.items():
        if key.path[-1] in unversioned:
            continue
        records = [known_record(store, key.path[-1], part) for part in _partitions(context, name)]
        if not all(records):
            return dict.fromkeys((key.path[-1] for key in context.selected_asset_keys), "")
        upstream[key.path[-1]] = [record.data_version for record in records if record]
    shared = {
        "partition": context.partition_key if context.has_partition_key else None,
        "config": context.op_execution_context.op_config,
        "upstream": upstream,
    }
    beside = {f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    if beside:
        shared["files"] = beside
    codes = context.assets_def.code_versions_by_key
    return {key.path[-1]: fingerprint_json([codes.get(key), shared]) for key in context.selected_asset_keys}


def _partitions(context: dg.AssetExecutionContext | dg.OpExecutionContext, input_name: str) -> list[str | None]:
    key = context.assets_def.keys_by_input_name[input_name]
    node = context.job_def.asset_layer.get(key)
    return [None] if node.partitions_def is None else [*context.asset_partition_keys_for_input(input_name)]


def _fetch_inputs(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> None:
    """Bring into the working copy what object storage has of the assets upstream, now that they are to be read.

    Their IO managers leave large ones to this, see `StoreIOManager.is_large`.
    """
    op = context.op_execution_context
    for name, key in op.assets_def.keys_by_input_name.items():
        for part in _partitions(op, name):
            fetch(Path(context.resources.reuse.store), key.path[-1], part)


def _reusable(context: dg.AssetExecutionContext, name: str, key: str, made_from: str) -> StoredRecord | None:
    """Return the record of what is stored of an asset, if it would come out the same and is intact."""
    reuse = context.resources.reuse
    store, partition = Path(reuse.store), context.partition_key if context.has_partition_key else None
    if reuse.force or not made_from:
        return None
    stored = stored_path(store, name, key) if partition is None else stored_partition(store, name, partition, key)
    record = known_record(store, name, partition)
    if record is not None and record.made_from == made_from:
        damaged = missing_files(store, name, stored, partition)
        if not damaged:
            return record
        context.log.warning(
            f"{stored} is damaged ({', '.join(damaged[:3])}: not the bytes that were written): {name} is made again"
        )
    return publish_again(store, name, stored, made_from, partition)


def _again(context: dg.AssetExecutionContext, name: str, record: StoredRecord) -> dg.MaterializeResult[Any]:
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


def reusing_check(made_of: Sequence[str], version: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator for a costly check: one that has passed passes again while what it checked is the same.

    A check that failed, or could not be run, is always run again.

    Args:
        made_of: Names of the assets that decide the verdict.
        version: Raised by hand when the check's code changes what it may find.
    """

    def decorate(compute: Callable[..., dg.AssetCheckResult]) -> Callable[..., dg.AssetCheckResult]:
        @functools.wraps(compute)
        def wrapped(*args: Any, **kwargs: Any) -> dg.AssetCheckResult:
            context = dg.AssetCheckExecutionContext.get()
            reuse = context.resources.reuse
            store = Path(reuse.store)
            records = [known_record(store, name) for name in made_of]
            versions = [record.data_version for record in records if record]
            if len(versions) < len(made_of):
                _fetch_inputs(context)
                return compute(*args, **kwargs)
            made_from = fingerprint_json([version, versions])
            known = None if reuse.force else known_check(store, compute.__name__)
            if known is not None and known["made_from"] == made_from:
                metadata = {name: _SHOWN[kind](value) for name, (kind, value) in known["metadata"].items()}
                return dg.AssetCheckResult(
                    passed=True, description=known["description"], metadata={**metadata, "reused": True}
                )
            _fetch_inputs(context)
            result = compute(*args, **kwargs)
            if result.passed:
                kept = {name: _kept(value) for name, value in result.metadata.items()}
                document = {"made_from": made_from, "description": result.description, "metadata": kept}
                keep_check(store, compute.__name__, document)
            return result

        return wrapped

    return decorate


# How a check's metadata are shown again, by how they were kept.
_SHOWN: dict[str, Callable[[Any], Any]] = {"markdown": dg.MetadataValue.md, "plain": lambda value: value}


def _kept(value: Any) -> tuple[str, Any]:
    return ("markdown", value.md_str) if isinstance(value, dg.MarkdownMetadataValue) else ("plain", value.value)
