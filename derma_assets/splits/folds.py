"""Cross-validation by lesion: one fold held out at a time, as the test side of a split of its own."""

import pandas as pd

from derma_assets.errors import InputError
from derma_assets.splits.grouped_splits import TEST, TRAIN, VALIDATION, in_order


def fold_splits(splits: pd.DataFrame, fold: int, validation_fraction: float, seed: int) -> pd.DataFrame:
    """Return the split with which one fold is tested: that fold is test, of the others a share is validation.

    Args:
        splits: `image_id`, `lesion_id`, `dx`, `fold`.
        fold: Which is held out.
        validation_fraction: Share of the lesions of each diagnosis outside the fold that choose epoch, temperature and
            thresholds, above 0 and below 1; at least one lesion of each.
        seed: Of the choice, which depends on it and the lesions' identifiers alone.

    Returns:
        `splits` with another column `split`.

    Raises:
        InputError: there is no such fold, or a diagnosis has fewer than two lesions outside it.
    """
    if fold not in set(splits["fold"]):
        raise InputError(f"there is no fold {fold}: the split has folds {sorted(set(splits['fold']))}.")
    lesions = splits[splits["fold"] != fold].drop_duplicates("lesion_id")
    chosen: set[str] = set()
    for dx, group in lesions.groupby("dx", sort=True):
        if len(group) < 2:
            raise InputError(f"outside fold {fold} there are fewer than two lesions of {dx}: use fewer folds.")
        count = min(max(1, round(validation_fraction * len(group))), len(group) - 1)
        chosen.update(in_order(group["lesion_id"].tolist(), f"{seed}/fold-{fold}")[:count])
    sides = splits["lesion_id"].isin(chosen).map({True: VALIDATION, False: TRAIN})
    return splits.assign(split=sides.where(splits["fold"] != fold, TEST))
