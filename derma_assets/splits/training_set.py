"""Which pictures a model is made of: the split as it was when there was last enough that is new."""

from datetime import UTC, datetime

import pandas as pd

ACCEPTED = "accepted"
COLUMNS = ["image_id", "lesion_id", "dx", "split", "fold"]


def training_set(
    splits: pd.DataFrame, sha256: pd.Series, earlier: pd.DataFrame | None, least_new_lesions: int
) -> pd.DataFrame:
    """Return the split with the hash of each picture: the new one, or the earlier one while too little is new.

    Args:
        splits: As the asset `grouped_splits` is.
        sha256: Of each readable picture's file, by `image_id`.
        earlier: What this function returned last; None if it has not been called before.
        least_new_lesions: So many lesions have to be new for a new model to be worth its training. 0: whatever is new.

    Returns:
        `COLUMNS` and `sha256` of the readable pictures; `attrs` say when it was accepted.
    """
    now = splits.loc[splits["image_id"].isin(sha256.index), COLUMNS].reset_index(drop=True)
    now = now.assign(sha256=now["image_id"].map(sha256))
    if earlier is not None and new_lesions(now, earlier) < least_new_lesions and _still_holds(now, earlier):
        return earlier
    if earlier is not None and now.equals(earlier):
        return earlier
    now.attrs[ACCEPTED] = datetime.now(UTC).isoformat(timespec="seconds")
    return now


def new_lesions(now: pd.DataFrame, earlier: pd.DataFrame) -> int:
    """Return how many lesions of `now` are not in `earlier`."""
    return len(set(now["lesion_id"]) - set(earlier["lesion_id"]))


def arrived_since(splits: pd.DataFrame, earlier: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the pictures of the split that the earlier set does not have, and the others.

    Without an earlier set nothing has arrived: everything is known.
    """
    known = splits["image_id"].isin(earlier["image_id"]) if earlier is not None else splits["image_id"].notna()
    return splits[~known].reset_index(drop=True), splits[known].reset_index(drop=True)


def _still_holds(now: pd.DataFrame, earlier: pd.DataFrame) -> bool:
    """Return whether all that the earlier set says is still so: a correction is never too little."""
    both = earlier.merge(now, how="left", on="image_id", suffixes=("", "_now"))
    return all(both[name].equals(both[f"{name}_now"]) for name in ("lesion_id", "dx", "split", "sha256"))
