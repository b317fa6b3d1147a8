"""The ledger of lesions: the side and the fold of each one that was ever dealt, whether its pictures are there or not.

The split itself holds only the lesions of today. A batch that is away for one run comes back, and then its lesions
have to be where they were; and a split that was damaged has to be made again as it was, not dealt anew. So the ledger
lies beside the split in the store, `dealt_lesions.parquet`, and lesions are only added to it. It is stored before the
split is, so nothing is learnt from a lesion that it does not know.

| column | what |
| --- | --- |
| `dealt_by` | fingerprint of the seed, the shares and the number of folds: with others a lesion is dealt once more |
| `lesion_id`, `split`, `fold` | as in the split |
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from derma_assets.errors import InputError
from derma_assets.storage.earlier_table import earlier_table
from derma_assets.storage.fingerprint import fingerprint_json, fingerprint_table
from derma_assets.storage.paths import stored_path
from derma_assets.storage.published import is_stored, place_of
from derma_assets.storage.records import record_of
from derma_assets.storage.storing import store_new

LEDGER = "dealt_lesions"
COLUMNS = ["lesion_id", "split", "fold"]
_DEALT_BY = "dealt_by"
# They tell the same of the lesions that they have, should the ledger be damaged, or older than this module.
_ALSO_KNOWN_FROM = ("grouped_splits", "training_set")


def lesions_dealt(store: Path, dealt_by: Mapping[str, Any]) -> pd.DataFrame:
    """Return every lesion that was dealt in this way before: by the ledger, the last split and the last training set.

    Args:
        store: Folder of the stored assets.
        dealt_by: The arguments of `split_by_lesion` beside the metadata; JSON can hold them.

    Returns:
        `COLUMNS`, one row a lesion; none where none was dealt, or all in another way.

    Raises:
        InputError: something was stored, and none of it can be read.
        StorageError: object storage cannot be reached.
    """
    stored = [name for name in (LEDGER, *_ALSO_KNOWN_FROM) if is_stored(store, name, "table")]
    tables = {name: table for name in stored if (table := _read(store, name)) is not None}
    if stored and not tables:
        places = ", ".join(place_of(store, name, "table") for name in stored)
        raise InputError(
            f"which lesions are for training and which for test was stored, and none of it can be read: {places}. "
            "Dealing them anew would move lesions from training to test. Put one of these files back from a backup. "
            "Or remove all of them: then everything is dealt anew, and no figure can be compared with one from before."
        )
    ledger = tables.pop(LEDGER, None)
    found = [] if ledger is None else [ledger.loc[ledger[_DEALT_BY] == fingerprint_json(dict(dealt_by)), COLUMNS]]
    # Of the same seed and shares, which a split holds as its `attrs`, and what is made of it too.
    alike = [table for table in tables.values() if dict(dealt_by).items() <= table.attrs.items()]
    return _once([*found, *(table[COLUMNS] for table in alike)])


def keep_dealt(store: Path, splits: pd.DataFrame, known: pd.DataFrame, dealt_by: Mapping[str, Any]) -> None:
    """Add to the ledger what it does not know of a split; the caller is alone with the split.

    Args:
        store: Folder of the stored assets.
        splits: The split, about to be stored.
        known: What `lesions_dealt` has returned.
        dealt_by: As there.

    Raises:
        StorageError: it cannot be written; what was stored before is untouched.
    """
    way = fingerprint_json(dict(dealt_by))
    earlier = _read(store, LEDGER)
    of_other_ways = [] if earlier is None else [earlier[earlier[_DEALT_BY] != way]]
    of_this = _once([known, splits[COLUMNS]]).sort_values("lesion_id", ignore_index=True)
    ledger = pd.concat([*of_other_ways, of_this.assign(**{_DEALT_BY: way})], ignore_index=True)
    ledger = ledger[[_DEALT_BY, *COLUMNS]]
    path = stored_path(store, LEDGER, "table")
    store_new(store, LEDGER, path, ledger.to_parquet, lambda beside: record_of(beside, "", fingerprint_table(ledger)))


def _once(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return all lesions of the tables, each as the first that has it says."""
    tables = [table for table in tables if len(table)]  # what is empty has no types either
    if not tables:
        return pd.DataFrame({name: [] for name in COLUMNS})
    return pd.concat(tables).drop_duplicates("lesion_id").reset_index(drop=True)


def _read(store: Path, name: str) -> pd.DataFrame | None:
    """Return a stored table with a side and a fold for each lesion, or None where there is no such table."""
    table = earlier_table(store, name)
    wanted = {*COLUMNS, _DEALT_BY} if name == LEDGER else {*COLUMNS}
    return table if table is not None and wanted <= {*table.columns} else None
