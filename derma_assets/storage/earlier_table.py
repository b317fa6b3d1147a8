"""The last version of a table, for the next one to go on from."""

import logging
from pathlib import Path

import pandas as pd

from derma_assets.storage.published import what_was_stored

_log = logging.getLogger(__name__)


def earlier_table(store: Path, asset: str) -> pd.DataFrame | None:
    """Return the stored table of an asset, or None: where there is none, or, with a warning, where it is damaged.

    Raises:
        StorageError: object storage cannot be reached.
    """
    stored = what_was_stored(store, asset, "table")
    if stored is None:
        return None
    try:
        return pd.read_parquet(stored)
    except (OSError, ValueError) as error:  # a run that was killed has left no record to tell the damage by
        _log.warning("%s is damaged (%s): nothing is taken from it", stored, str(error).partition("\n")[0])
        return None
