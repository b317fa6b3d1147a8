"""Errors meant for the person at the console: what is wrong, where, and what to do."""


class UserError(Exception):
    """Something outside the code is wrong, and the message says what to do about it.

    The Dagster layer (`derma_assets.stage`) shows the message alone, without a traceback.
    """


class InputError(UserError):
    """Data or pictures are not what the pipeline needs."""


class StorageError(UserError):
    """An output could not be written; what was stored before is untouched."""
