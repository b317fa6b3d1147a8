"""What every asset of ours has in common: its stage, its owner, and errors that a person can act on."""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg

from derma_assets.automation.conditions import on_new_content
from derma_assets.automation.run_tags import tagging
from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION
from derma_assets.errors import UserError
from derma_assets.execution.memory import give_memory_back
from derma_assets.execution.needs import DEFAULT_NEED, Need, step_tags
from derma_assets.reuse import reusing
from derma_assets.settings import settings
from derma_assets.storage.fingerprint import fingerprint_json

OWNERS = ["team:derma"]


def as_step(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap an asset's function as a step of a run.

    It begins without what the step before has left in memory; a `UserError` fails it with its message instead of a
    traceback.
    """

    @functools.wraps(compute)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        give_memory_back()
        with _failing_clearly():
            return compute(*args, **kwargs)

    @functools.wraps(compute)
    def wrapped_generator(*args: Any, **kwargs: Any) -> Any:
        give_memory_back()
        with _failing_clearly():
            yield from compute(*args, **kwargs)

    return wrapped_generator if inspect.isgeneratorfunction(compute) else wrapped


@contextmanager
def _failing_clearly() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise dg.Failure(str(error), allow_retries=False) from None


def settings_version(version: str, reads_settings: Sequence[str] = ()) -> str:
    """Return an asset's code version, which a change of a setting changes too: the UI then shows the asset as stale.

    Args:
        version: Raised by hand when the asset's code changes what it gives.
        reads_settings: Names of the settings that decide what the asset gives.
    """
    values = {name: str(getattr(settings(), name)) for name in reads_settings}
    return f"{version}-{fingerprint_json(values)[:8]}" if values else version


def stage_asset(
    stage: str,
    *,
    code_version: str,
    io_manager_key: str,
    reads_settings: Sequence[str] = (),
    reuse: bool = True,
    of_training_set: bool = False,
    automatic: bool = True,
    reads_files: Callable[[], Iterable[Path]] = tuple,
    decided_by: Mapping[str, Callable[[Any], Any]] = MappingProxyType({}),
    also: Callable[[dg.AssetExecutionContext], Any] = lambda _: None,
    needs: Need = DEFAULT_NEED,
    **asset_arguments: Any,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Return `dagster.asset` for the stage `stage`: group, owner and clear failures are set, the rest is passed on.

    See `settings_version` for the two arguments that decide when the UI shows the asset as stale and when its stored
    result is given again; `reuse` is false of what reads files that Dagster knows nothing of.
    `reads_files` names small files whose content decides as well, `decided_by` the part of an input that decides,
    `also` what else does: all three as in `reusing`.
    What is `of_training_set` takes from `image_arrays` only the pictures that `training_set` names.
    What is not `automatic` is made only when someone asks for it.
    `needs` says on which kind of machine it is made, see `execution/needs.py`.
    """
    if of_training_set:
        # What image_arrays' own version says besides which pictures it has.
        code_version, reads_settings = f"{code_version}-{PREPROCESSING_VERSION}", [*reads_settings, "image_size"]
    version = settings_version(code_version, reads_settings)
    unversioned = ["image_arrays"] if of_training_set else []

    def decorate(compute: Callable[..., Any]) -> dg.AssetsDefinition:
        asset = dg.asset(
            group_name=stage,
            owners=OWNERS,
            code_version=version,
            io_manager_key=io_manager_key,
            required_resource_keys={"reuse"},
            op_tags=step_tags(needs),
            # Where a cluster limits pools to one step, no two runs make the asset at once; its partitions they may.
            pool=None if asset_arguments.get("partitions_def") else compute.__name__,
            automation_condition=on_new_content() if automatic else None,
            **asset_arguments,
        )
        keys = {compute.__name__: io_manager_key}
        reused = reusing(
            compute,
            keys,
            look=reuse,
            unversioned=unversioned,
            files=reads_files,
            decided_by=decided_by,
            also=also,
        )
        return asset(as_step(tagging(reused)))

    return decorate
