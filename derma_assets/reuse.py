"""Nothing is computed twice: an asset whose origins are as they were answers with what is stored.

Dagster runs every selected asset, changed or not (dagster-io/dagster issue 14842). Here an asset first compares the
fingerprint of all that decides its content (its code version, which holds the settings it reads and the recipe that it
trains by, its run config, and the data versions of what it is made from) with that in the record of what is stored. If
they are equal and the stored files are intact, it gives the same data version and metadata again, with `reused` true,
and computes nothing.
Content decides, not times. From that look until its result is stored a step is alone with what it writes: the second of
two runs waits, then finds what the first one has stored.
"""

import functools
import hashlib
import inspect
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg

from derma_assets.storage.fingerprint import fingerprint_json
from derma_assets.storage.locks import Name, holding
from derma_assets.storage.paths import stored_partition, stored_path
from derma_assets.storage.published import (
    fetch,
    forget_check,
    keep_check,
    known_check,
    known_record,
    missing_files,
    not_here,
    publish_again,
)
from derma_assets.storage.records import CHECKS, StoredRecord, forget_loaded, record_path, replaced_since_loaded
from derma_assets.storage.remote import remote_of
from derma_assets.ui_metadata import Later

_DATA_VERSION_TAG = "dagster/data_version"

# So often a step loads anew what another run replaces before it gives up.
_MOST_LOADS = 10

# Metadata of a result that is on its way to the store: what its record will say, and whether what is there already is
# not to be relied on.
MADE_FROM, DATA_VERSION, FORCED = "made_from", "data_version", "forced"


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
    decided_by: Mapping[str, Callable[[Any], Any]] = MappingProxyType({}),
    also: Callable[[dg.AssetExecutionContext], Any] = lambda _: None,
) -> Callable[..., Any]:
    """Wrap an asset's function: it is not called where all that was asked for is stored and would come out the same.

    Args:
        compute: Returns a `MaterializeResult`, or yields several.
        io_manager_keys: Key of the IO manager of each asset that it makes, by name.
        look: Whether to look for what is stored; what is computed gets a record in any case.
        unversioned: Assets upstream that decide nothing, because another one names what is taken from them.
        files: Returns the files beside the graph whose content decides, too; they are read, so they should be small.
        decided_by: For an input of which only a part decides: gives that part of the loaded value, as JSON can hold it.
            Of every other input the data version decides.
        also: Given the step's context, returns what else decides, as JSON can hold it: what a partition's name or the
            run config stands for. None: nothing.
    """
    signature = inspect.signature(compute)

    def run(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[dg.MaterializeResult[Any]]:
        context = dg.AssetExecutionContext.get()
        names = [key.path[-1] for key in context.selected_asset_keys]
        partition = context.partition_key if context.has_partition_key else None
        # Dagster stores a result before it asks for the next: the locks are held until the last one is stored.
        ours = sorted((key.path[-1], partition) for key in context.assets_def.keys)
        given = signature.bind(*args, **kwargs).arguments if decided_by else {}
        parts = {name: part(given[name]) for name, part in decided_by.items()}
        absent: list[Name] = []
        while True:
            for asset in absent:  # while nothing is held: whoever reads an older version is waited for
                fetch(Path(context.resources.reuse.store), *asset)
            with _alone(context, _upstream(context), ours) as upstream:
                origins = _origins(context, upstream, unversioned, files(), parts, also(context))
                if look:
                    reused = {name: _reusable(context, name, io_manager_keys[name], origins[name]) for name in names}
                    if all(reused.values()):
                        for name, record in reused.items():
                            assert record is not None
                            yield _again(context, name, record)
                        return
                absent = not_here(Path(context.resources.reuse.store), upstream)
                if absent:
                    continue
                computed = compute(*args, **kwargs)
                for result in computed if inspect.isgenerator(computed) else [computed]:
                    made_from = origins[result.asset_key.path[-1] if result.asset_key else names[0]]
                    yield _stamped(context, result, made_from)
                return

    @functools.wraps(compute)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with _loaded_for_this_step():
            yield from run(args, kwargs)

    return wrapped


@contextmanager
def _loaded_for_this_step() -> Iterator[None]:
    """Remember what the step was given until it is done, however often it has to begin: its arguments stay the same."""
    try:
        yield
    finally:
        forget_loaded()


# What a thread holds for its step. A step that fails while its result is stored never comes back to give it up.
_held_by: dict[int, ExitStack] = {}


@contextmanager
def _alone(context: Any, reads: Sequence[Name], writes: Sequence[Name]) -> Iterator[dict[Name, StoredRecord | None]]:
    """Let no other run replace what a step reads, nor read or write what it writes, until it is done.

    Yields the records of what it reads. In object storage another machine may have others by the end of the step,
    which has its own copies.

    Raises:
        dagster.RetryRequested: another run has replaced something since the step has loaded it.
        StorageError: the locks cannot be had.
    """
    store, thread = Path(context.resources.reuse.store), threading.get_ident()
    if thread in _held_by:
        _held_by.pop(thread).close()
    with ExitStack() as held:
        does = f"{writes[0][0]}, run {context.run.run_id[:8]}"
        held.enter_context(holding(store, reads=reads, writes=writes, does=does, say=context.log.info))
        _held_by[thread] = held
        try:
            records = {name: known_record(store, *name) for name in reads}
            replaced = replaced_since_loaded({record_path(store, *name): one for name, one in records.items()})
            if replaced:
                context.log.info(f"another run has just replaced {replaced[0].stem}: loading again what is there now")
                raise dg.RetryRequested(max_retries=_MOST_LOADS)
            yield records
        finally:
            if _held_by.get(thread) is held:
                del _held_by[thread]


def _upstream(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> list[Name]:
    """Return everything that a step reads of the store, partition by partition."""
    inputs = context.assets_def.keys_by_input_name
    return [(key.path[-1], part) for name, key in inputs.items() for part in _partitions(context, name)]


def _stamped(context: dg.AssetExecutionContext, result: Any, made_from: str) -> dg.MaterializeResult[Any]:
    """Return the result with what its record will say, which the IO manager reads from the metadata."""
    version, forced = result.data_version.value if result.data_version else "", context.resources.reuse.force
    stamp = {MADE_FROM: made_from, DATA_VERSION: version, "reused": False, **({FORCED: True} if forced else {})}
    metadata = dict(result.metadata or {})
    if any(isinstance(value, Later) for value in metadata.values()):
        name = result.asset_key.path[-1] if result.asset_key else context.asset_key.path[-1]
        stored = None if context.has_partition_key else known_record(Path(context.resources.reuse.store), name)
        # It may show what is upstream as well as what is stored: neither may have changed.
        unchanged = stored is not None and (stored.made_from, stored.data_version) == (made_from, version)
        said = _last_said(context, name, version) if unchanged and made_from and not forced else {}
        metadata = {
            word: said.get(word) or value.make() if isinstance(value, Later) else value
            for word, value in metadata.items()
        }
    return result._replace(metadata={**metadata, **stamp})


def _origins(
    context: dg.AssetExecutionContext,
    read: Mapping[Name, StoredRecord | None],
    unversioned: Collection[str],
    files: Iterable[Path],
    parts: Mapping[str, Any],
    also: Any,
) -> dict[str, str]:
    """Return, for each asset of a step, the fingerprint of all that decides it; empty if one upstream has no record."""
    upstream: dict[str, Any] = {}
    for name, key in context.assets_def.keys_by_input_name.items():
        if key.path[-1] in unversioned:
            continue
        if name in parts:
            upstream[key.path[-1]] = parts[name]
            continue
        records = [read[key.path[-1], part] for part in _partitions(context, name)]
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
    if also is not None:
        shared["also"] = also
    codes = context.assets_def.code_versions_by_key
    return {key.path[-1]: fingerprint_json([codes.get(key), shared]) for key in context.selected_asset_keys}


def _partitions(context: dg.AssetExecutionContext | dg.OpExecutionContext, input_name: str) -> list[str | None]:
    key = context.assets_def.keys_by_input_name[input_name]
    node = context.job_def.asset_layer.get(key)
    return [None] if node.partitions_def is None else [*context.asset_partition_keys_for_input(input_name)]


def _reusable(context: dg.AssetExecutionContext, name: str, key: str, made_from: str) -> StoredRecord | None:
    """Return the record of what is stored of an asset, if it would come out the same and is intact."""
    reuse = context.resources.reuse
    store, partition = Path(reuse.store), context.partition_key if context.has_partition_key else None
    if reuse.force or not made_from:
        return None
    path = record_path(store, name, partition)
    record = known_record(store, name, partition)
    if record is None and path.exists() and remote_of(store) is None:
        context.log.warning(f"{path} is damaged (not what was written): {name} is made again")
    stored = stored_path(store, name, key) if partition is None else stored_partition(store, name, partition, key)
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
    metadata = {word: value for word, value in _last_said(context, name, record.data_version).items() if word != FORCED}
    return dg.MaterializeResult(
        asset_key=dg.AssetKey(name),
        metadata={**metadata, "reused": True},
        data_version=dg.DataVersion(record.data_version),
    )


def _last_said(context: dg.AssetExecutionContext, name: str, data_version: str) -> Mapping[str, Any]:
    """Return what the last run said of an asset; nothing where that was of other content.

    The instance may have seen another store since.
    """
    last = context.instance.get_latest_materialization_event(dg.AssetKey(name))
    said = last.asset_materialization if last else None
    known = said is not None and (said.tags or {}).get(_DATA_VERSION_TAG) == data_version
    return said.metadata if said is not None and known else {}


def reusing_check(
    made_of: Sequence[str], version: str, stands: Callable[..., bool] = lambda *_, **__: True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator for a costly check: one that has passed passes again while what it checked is the same.

    A check that failed, or could not be run, is always run again.

    Args:
        made_of: Names of the assets that decide the verdict.
        version: Raised by hand when the check's code changes what it may find.
        stands: Given what the check is given, by name: whether all that it left when it passed still is there.
    """

    def decorate(compute: Callable[..., dg.AssetCheckResult]) -> Callable[..., dg.AssetCheckResult]:
        def run(*args: Any, **kwargs: Any) -> dg.AssetCheckResult:
            context = dg.AssetCheckExecutionContext.get()
            store, absent = Path(context.resources.reuse.store), list[Name]()
            reads = sorted({*((name, None) for name in made_of), *_upstream(context.op_execution_context)}, key=str)
            while True:
                for asset in absent:
                    fetch(store, *asset)
                with _alone(context, reads, [(CHECKS, compute.__name__)]) as upstream:
                    records = [upstream[name, None] for name in made_of]
                    made_from = fingerprint_json([version, [one.data_version for one in records if one]])
                    known = None if context.resources.reuse.force else known_check(store, compute.__name__)
                    if (
                        all(records)
                        and known is not None
                        and known["made_from"] == made_from
                        and stands(*args, **kwargs)
                    ):
                        return _passed_again(known)
                    absent = not_here(store, upstream)
                    if absent:
                        continue
                    # A verdict from before this look must not outlive what is found now.
                    forget_check(store, compute.__name__)
                    result = compute(*args, **kwargs)
                    if all(records) and result.passed:
                        keep_check(store, compute.__name__, _passed(result, made_from))
                    return result

        @functools.wraps(compute)
        def wrapped(*args: Any, **kwargs: Any) -> dg.AssetCheckResult:
            with _loaded_for_this_step():
                return run(*args, **kwargs)

        return wrapped

    return decorate


def _passed(result: dg.AssetCheckResult, made_from: str) -> dict[str, Any]:
    """Return what is kept of a check that has passed."""
    kept = {name: _kept(value) for name, value in result.metadata.items()}
    return {"made_from": made_from, "description": result.description, "metadata": kept}


def _passed_again(known: Mapping[str, Any]) -> dg.AssetCheckResult:
    metadata = {name: _SHOWN[kind](value) for name, (kind, value) in known["metadata"].items()}
    return dg.AssetCheckResult(passed=True, description=known["description"], metadata={**metadata, "reused": True})


# How a check's metadata are shown again, by how they were kept.
_SHOWN: dict[str, Callable[[Any], Any]] = {"markdown": dg.MetadataValue.md, "plain": lambda value: value}


def _kept(value: Any) -> tuple[str, Any]:
    return ("markdown", value.md_str) if isinstance(value, dg.MarkdownMetadataValue) else ("plain", value.value)
