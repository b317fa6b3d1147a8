"""The training set: held back while too little is new, never when something known was corrected."""

import pandas as pd
import pytest

from derma_assets.splits.grouped_splits import split_by_lesion
from derma_assets.splits.training_set import ACCEPTED, new_lesions, training_set
from derma_assets_tests.splits.generated import metadata

SMALL, GROWN = metadata([10] * 7), metadata([11] * 7)


def split(table: pd.DataFrame, earlier: pd.DataFrame | None = None) -> pd.DataFrame:
    return split_by_lesion(table, 0.2, 0.2, folds=3, seed=1, earlier=earlier)


def hashes(table: pd.DataFrame) -> pd.Series:
    # Pictures are named by their row; their content belongs to the lesion and its how-many-eth picture.
    content = table["lesion_id"] + "/" + table.groupby("lesion_id").cumcount().astype(str)
    return pd.Series(content.to_numpy(), index=table["image_id"])


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Return the metadata with identifiers that stay when the data grow."""
    return table.assign(image_id=hashes(table).to_numpy())


BEFORE, AFTER = named(SMALL), named(GROWN)
BEFORE = BEFORE[BEFORE["image_id"].isin(AFTER["image_id"])]
FIRST = training_set(split(BEFORE), hashes(BEFORE), None, least_new_lesions=50)
GROWN_SPLIT = split(AFTER, earlier=split(BEFORE))


def test_the_first_is_all_that_can_be_read() -> None:
    readable = hashes(BEFORE).iloc[5:]
    table = training_set(split(BEFORE), readable, None, least_new_lesions=50)
    assert table["image_id"].tolist() == BEFORE["image_id"].tolist()[5:]
    assert table["sha256"].tolist() == readable.tolist()
    assert table.attrs[ACCEPTED]


def test_few_new_lesions_wait_and_enough_are_taken_in() -> None:
    assert new_lesions(GROWN_SPLIT, FIRST) == 7
    assert training_set(GROWN_SPLIT, hashes(AFTER), FIRST, least_new_lesions=8) is FIRST
    taken = training_set(GROWN_SPLIT, hashes(AFTER), FIRST, least_new_lesions=7)
    assert new_lesions(GROWN_SPLIT, taken) == 0
    assert set(taken["image_id"]) == set(AFTER["image_id"])
    by_hand = training_set(GROWN_SPLIT, hashes(AFTER), FIRST, least_new_lesions=0)
    pd.testing.assert_frame_equal(taken, by_hand)


def test_nothing_new_is_the_same_set_with_its_date() -> None:
    again = training_set(split(BEFORE), hashes(BEFORE), FIRST, least_new_lesions=0)
    assert again is FIRST


@pytest.mark.parametrize("what", ["diagnosis", "picture", "removed"])
def test_a_correction_is_taken_in_at_once(what: str) -> None:
    table, sha256 = GROWN_SPLIT.copy(), hashes(AFTER)
    known = FIRST["image_id"].iloc[0]
    if what == "diagnosis":
        table.loc[table["image_id"] == known, "dx"] = "nv" if FIRST["dx"].iloc[0] != "nv" else "mel"
    elif what == "picture":
        sha256[known] = "another"
    else:
        sha256 = sha256.drop(known)
    taken = training_set(table, sha256, FIRST, least_new_lesions=1000)
    assert taken is not FIRST
    assert new_lesions(table, taken) == 0
