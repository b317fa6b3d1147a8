"""Errors meant for the person at the console: what is wrong, where, and what to do."""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

_P = ParamSpec("_P")


class UserError(Exception):
    """Something outside the code is wrong, and the message says what to do about it.

    The Dagster layer (`derma_assets.stage`) shows the message alone, without a traceback.
    """


class InputError(UserError):
    """Data or pictures are not what the pipeline needs."""


class StorageError(UserError):
    """An output could not be written; what was stored before is untouched."""


class DamagedError(StorageError):
    """What is stored is gone, or is not what was written: trying again does not help."""


def told_to_the_user(main: Callable[_P, None]) -> Callable[_P, int]:
    """Make a command return its exit status, and tell a `UserError` in one line instead of a traceback."""

    @functools.wraps(main)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> int:
        try:
            main(*args, **kwargs)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        return 0

    return run
