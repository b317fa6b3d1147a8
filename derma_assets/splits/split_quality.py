"""Whether a split can be trusted: no lesion on two sides, the same mix of diagnoses and all of them on each side."""

import pandas as pd

from derma_assets.diagnoses import CODES
from derma_assets.splits.grouped_splits import SIDES

# Beyond this a side no longer stands for the whole; on top of it comes one lesion, which cannot be cut in two.
SHARE_TOLERANCE = 0.02


def lesions_on_two_sides(splits: pd.DataFrame) -> list[str]:
    """Return the lesions with pictures on more than one side, sorted. Must be empty."""
    sides = splits.groupby("lesion_id")["split"].nunique()
    return sorted(sides.index[sides > 1])


def class_shares(splits: pd.DataFrame) -> pd.DataFrame:
    """Compare the share of each diagnosis among a side's lesions with its share among all lesions.

    Returns:
        One row per side and diagnosis: `split`, `dx`, `share` and `share_of_all` (0..1, NaN on an empty side),
        `difference` (absolute), `tolerance` (`SHARE_TOLERANCE` and one lesion of that side) and `within`.
    """
    lesions = splits.drop_duplicates(["lesion_id", "split"])
    # Counted once each: a lesion on two sides is not to distort the mix that both are compared with.
    of_all = _shares(lesions.drop_duplicates("lesion_id"))
    rows = []
    for side in SIDES:
        on_side = lesions[lesions["split"] == side]
        shares = _shares(on_side)
        for code in CODES:
            rows.append((side, code, shares[code], of_all[code], SHARE_TOLERANCE + 1 / max(1, len(on_side))))
    table = pd.DataFrame(rows, columns=["split", "dx", "share", "share_of_all", "tolerance"])
    difference = (table["share"] - table["share_of_all"]).abs()
    return table.assign(difference=difference, within=difference <= table["tolerance"])


def classes_missing(splits: pd.DataFrame) -> list[tuple[str, str]]:
    """Return every (side, dx) without a single lesion, in the order of sides and diagnoses. Must be empty."""
    there = set(zip(splits["split"], splits["dx"], strict=True))
    return [(side, code) for side in SIDES for code in CODES if (side, code) not in there]


def _shares(lesions: pd.DataFrame) -> pd.Series:
    """Return the share of each diagnosis among lesions given one a row; NaN when there are none."""
    return lesions["dx"].value_counts().reindex(list(CODES), fill_value=0) / (len(lesions) or float("nan"))
