"""Train, validation and test by lesion, stratified by diagnosis.

Several pictures of HAM10000 show the same lesion, so pictures are never dealt out one by one: a model would be
tested on lesions it has learnt by heart (Tschandl et al., Scientific Data 5, 180161, 2018, "Usage Notes").
"""

import hashlib
from collections import Counter

import numpy as np
import pandas as pd

from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError

TRAIN, VALIDATION, TEST = SIDES = ("train", "validation", "test")

_NOTHING = pd.DataFrame({"lesion_id": [], "split": [], "fold": []})


def split_by_lesion(
    metadata: pd.DataFrame,
    validation_fraction: float,
    test_fraction: float,
    folds: int,
    seed: int,
    earlier: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Give every picture a side and a fold; the pictures of one lesion always get the same.

    Within each diagnosis the lesions are put in an order that depends on the seed and their identifier only, not on
    the order of the rows, and dealt out in that order, so the split survives a shuffled file. A lesion that was dealt
    earlier stays where it is, and only new ones are dealt, to the side that lacks most: a model is never tested on
    what an earlier one has learnt.

    Args:
        metadata: One row per picture, columns `image_id`, `lesion_id` and `dx`.
        validation_fraction: Share of the lesions of each diagnosis held out for validation, above 0.
        test_fraction: The same for test; the two together stay below 1.
        folds: Number of folds over all lesions, at least 2. A diagnosis with fewer lesions than that is
            absent from some folds.
        seed: Any integer; another one gives another split.
        earlier: `lesion_id`, `split` and `fold` of the lesions that were dealt before with the same other arguments,
            whether the metadata have them now or not; see `dealt_lesions`.

    Returns:
        Columns `image_id`, `lesion_id`, `dx`, `split` ("train", "validation" or "test") and `fold` (0..folds-1),
        one row per row of `metadata`, in its order.

    Raises:
        InputError: a lesion has no identifier or two diagnoses, or a diagnosis has too few lesions for three sides.
    """
    if min(validation_fraction, test_fraction) <= 0 or validation_fraction + test_fraction >= 1:
        raise InputError(
            f"validation_fraction {validation_fraction} and test_fraction {test_fraction} must both be above 0 "
            "and leave something to train on."
        )
    lesions = _lesions(metadata)
    known = (earlier if earlier is not None else _NOTHING).drop_duplicates("lesion_id")
    sides: dict[str, str] = dict(zip(known["lesion_id"], known["split"], strict=True))
    fold_of: dict[str, int] = dict(zip(known["lesion_id"], known["fold"], strict=True))
    dealt = len(fold_of)
    for _, group in lesions.groupby("dx", sort=True):
        ids = group["lesion_id"].tolist()
        held_out = _held_out(len(ids), validation_fraction, test_fraction)
        there = Counter(sides[lesion] for lesion in ids if lesion in sides)
        for lesion in in_order([lesion for lesion in ids if lesion not in sides], f"{seed}/split"):
            lacking = {TEST: held_out[1] - there[TEST], VALIDATION: held_out[0] - there[VALIDATION]}
            sides[lesion] = next((side for side, count in lacking.items() if count > 0), TRAIN)
            there[sides[lesion]] += 1
        # Dealing goes on where the previous diagnosis stopped, else every remainder would land in fold 0.
        for lesion in in_order([lesion for lesion in ids if lesion not in fold_of], f"{seed}/fold"):
            fold_of[lesion] = dealt % folds
            dealt += 1
    table = metadata[["image_id", "lesion_id", "dx"]].reset_index(drop=True)
    return table.assign(split=table["lesion_id"].map(sides), fold=table["lesion_id"].map(fold_of).astype(np.int64))


def count_by_side(splits: pd.DataFrame) -> pd.DataFrame:
    """Return the pictures and lesions of each diagnosis on each side.

    Returns:
        One row per diagnosis, columns `dx`, then `<side> images` and `<side> lesions` for each side; integers.
    """
    groups = splits.groupby(["dx", "split"])
    counts = {"images": groups["image_id"].count(), "lesions": groups["lesion_id"].nunique()}
    columns = {
        f"{side} {unit}": counted.unstack("split").reindex(index=list(CODES), columns=list(SIDES))[side]
        for side in SIDES
        for unit, counted in counts.items()
    }
    return pd.DataFrame(columns).fillna(0).astype(np.int64).rename_axis("dx").reset_index()


def _lesions(metadata: pd.DataFrame) -> pd.DataFrame:
    """Return one row per lesion, columns `lesion_id` and `dx`, or say what is wrong with the metadata."""
    without = metadata.index[metadata["lesion_id"].isna() | metadata["dx"].isna()]
    if len(without):
        raise InputError(
            f"{len(without)} rows have no lesion_id or no dx, the first is row {without[0]} "
            f"(image {metadata.loc[without[0], 'image_id']}): fill them in or remove the rows."
        )
    lesions = metadata[["lesion_id", "dx"]].drop_duplicates()
    twice = lesions.loc[lesions["lesion_id"].duplicated(), "lesion_id"]
    if len(twice):
        found = sorted(lesions.loc[lesions["lesion_id"] == twice.iloc[0], "dx"])
        raise InputError(
            f"{twice.nunique()} lesions have more than one diagnosis, for example {twice.iloc[0]} "
            f"({', '.join(found)}): a lesion has one dx, correct it in the metadata."
        )
    unknown = sorted(set(lesions["dx"]) - set(CODES))
    if unknown:
        raise InputError(f"unknown dx {', '.join(map(str, unknown))}: the known ones are {', '.join(CODES)}.")
    per_class = lesions["dx"].value_counts().reindex(list(CODES), fill_value=0)
    too_few = per_class[per_class < len(SIDES)]
    if len(too_few):
        counted = ", ".join(f"{dx} has {count}" for dx, count in too_few.items())
        raise InputError(
            f"every diagnosis needs at least {len(SIDES)} lesions, one for each of {', '.join(SIDES)}; {counted}. "
            "Add lesions of these diagnoses."
        )
    return lesions


def _held_out(lesions: int, validation_fraction: float, test_fraction: float) -> tuple[int, int]:
    """Return how many of a diagnosis's lesions go to validation and to test: rounded, and one on every side."""
    held_out = [max(1, round(fraction * lesions)) for fraction in (validation_fraction, test_fraction)]
    while sum(held_out) >= lesions:
        held_out[held_out.index(max(held_out))] -= 1
    return held_out[0], held_out[1]


def in_order(lesion_ids: list[str], key: str) -> list[str]:
    """Return the lesions in a random order that depends on `key` and their identifiers alone."""
    return sorted(lesion_ids, key=lambda lesion: (hashlib.sha256(f"{key}/{lesion}".encode()).digest(), lesion))
