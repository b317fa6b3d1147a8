"""Asset checks that say in the log what they found wrong: Dagster's own error names a failed check and no more."""

import functools
from collections.abc import Callable
from typing import Any

import dagster as dg


def asset_check(**options: Any) -> Callable[[Callable[..., dg.AssetCheckResult]], dg.AssetChecksDefinition]:
    """Return `dagster.asset_check` for functions that return an `AssetCheckResult`; the options are Dagster's.

    What a check that has not passed says goes to the run's log, and so to the terminal, at the check's own severity.
    """

    def decorate(look: Callable[..., dg.AssetCheckResult]) -> dg.AssetChecksDefinition:
        @functools.wraps(look)
        def looked(*args: Any, **kwargs: Any) -> dg.AssetCheckResult:
            result = look(*args, **kwargs)
            if not result.passed:
                log = dg.get_dagster_logger()
                say = log.error if result.severity == dg.AssetCheckSeverity.ERROR else log.warning
                say(f"check {look.__name__}: {result.description or 'not passed'}")
            return result

        return dg.asset_check(**options)(looked)

    return decorate
