"""What every asset of ours has in common: its stage, its owner, and errors that a person can act on."""

import functools
from collections.abc import Callable
from typing import Any

import dagster as dg

from derma_assets.errors import UserError

OWNERS = ["team:derma"]


def clear_failure(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap an asset's function so that a `UserError` fails the step with its message instead of a traceback."""

    @functools.wraps(compute)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return compute(*args, **kwargs)
        except UserError as error:
            raise dg.Failure(str(error), allow_retries=False) from None

    return wrapped


def stage_asset(stage: str, **asset_arguments: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Return `dagster.asset` for the stage `stage`: group, owner and clear failures are set, the rest is passed on."""

    def decorate(compute: Callable[..., Any]) -> dg.AssetsDefinition:
        return dg.asset(group_name=stage, owners=OWNERS, **asset_arguments)(clear_failure(compute))

    return decorate
