import numpy as np
import pandas as pd
import pytest

from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError
from derma_assets.splits.grouped_splits import SIDES, count_by_side, split_by_lesion
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets_tests.splits.generated import metadata


def split(table: pd.DataFrame, seed: int = 42, validation: float = 0.1, test: float = 0.2) -> pd.DataFrame:
    return split_by_lesion(table, validation, test, folds=5, seed=seed)


def test_one_row_per_picture_in_the_order_of_the_metadata() -> None:
    table = metadata()
    splits = split(table)
    assert list(splits.columns) == ["image_id", "lesion_id", "dx", "split", "fold"]
    pd.testing.assert_frame_equal(splits[["image_id", "lesion_id", "dx"]], table[["image_id", "lesion_id", "dx"]])


def test_a_lesion_has_one_side_and_one_fold() -> None:
    by_lesion = split(metadata()).groupby("lesion_id")
    assert (by_lesion["split"].nunique() == 1).all()
    assert (by_lesion["fold"].nunique() == 1).all()


def test_fractions_hold_within_every_diagnosis() -> None:
    lesions = split(metadata()).drop_duplicates("lesion_id")
    for _, group in lesions.groupby("dx"):
        counts = group["split"].value_counts()
        assert abs(counts["validation"] - 0.1 * len(group)) <= 0.5
        assert abs(counts["test"] - 0.2 * len(group)) <= 0.5


def test_folds_are_of_equal_size_and_stratified() -> None:
    lesions = split(metadata()).drop_duplicates("lesion_id")
    assert np.ptp(lesions["fold"].value_counts()) <= 1
    assert set(lesions["fold"]) == set(range(5))
    for _, group in lesions.groupby("dx"):
        assert np.ptp(group["fold"].value_counts()) <= 1


def test_the_order_of_the_rows_changes_nothing() -> None:
    table = metadata()
    shuffled = table.sample(frac=1, random_state=3)
    again = split(shuffled).set_index("image_id").loc[table["image_id"]].reset_index()
    pd.testing.assert_frame_equal(again[["image_id", "split", "fold"]], split(table)[["image_id", "split", "fold"]])


def test_the_seed_decides() -> None:
    table = metadata()
    pd.testing.assert_frame_equal(split(table), split(table))
    assert (split(table)["split"] != split(table, seed=7)["split"]).any()


def test_from_scratch_the_split_is_the_one_that_released_figures_are_of() -> None:
    assert fingerprint_table(split(metadata())) == "0fa5eb18faaadea7"


def test_lesions_stay_where_they_were_when_the_data_grow() -> None:
    small, grown = metadata([40, 60, 100, 12, 90, 500, 20]), metadata([44, 66, 180, 13, 99, 550, 22])
    shuffled = grown.sample(frac=1, random_state=1)
    before = split(small)
    after = split_by_lesion(shuffled, 0.1, 0.2, folds=5, seed=42, earlier=before)
    lesions = after.drop_duplicates("lesion_id").set_index("lesion_id")
    kept = before.drop_duplicates("lesion_id").set_index("lesion_id")
    pd.testing.assert_frame_equal(lesions.loc[kept.index, ["split", "fold"]], kept[["split", "fold"]])
    # And the new ones keep the sides in proportion.
    for _, group in lesions.groupby("dx"):
        counts = group["split"].value_counts()
        assert abs(counts["validation"] - 0.1 * len(group)) <= 1
        assert abs(counts["test"] - 0.2 * len(group)) <= 1
    assert np.ptp(lesions["fold"].value_counts()) <= 2


def test_growing_twice_moves_nothing_either() -> None:
    sizes = [[40, 60, 100, 12, 90, 500, 20], [41, 60, 104, 12, 93, 500, 20], [50, 61, 104, 30, 93, 900, 21]]
    table = None
    for counts in sizes:
        earlier, table = table, split_by_lesion(metadata(counts), 0.1, 0.1, folds=5, seed=1, earlier=table)
        if earlier is not None:
            now = table.drop_duplicates("lesion_id").set_index("lesion_id")["split"]
            assert (earlier["lesion_id"].map(now) == earlier["split"]).all()


@pytest.mark.parametrize("fractions", [(0.1, 0.1), (0.45, 0.45), (0.01, 0.49)])
@pytest.mark.parametrize("lesions", [3, 4, 5])
def test_every_side_has_every_diagnosis_however_few_lesions(lesions: int, fractions: tuple[float, float]) -> None:
    counts = count_by_side(split(metadata([lesions] * 7), validation=fractions[0], test=fractions[1]))
    assert list(counts["dx"]) == list(CODES)
    assert (counts[[f"{side} lesions" for side in SIDES]] >= 1).all(axis=None)


def test_counts_add_up() -> None:
    table = metadata()
    counts = count_by_side(split(table))
    assert counts[[f"{side} images" for side in SIDES]].to_numpy().sum() == len(table)
    assert counts[[f"{side} lesions" for side in SIDES]].to_numpy().sum() == table["lesion_id"].nunique()


@pytest.mark.parametrize("lesions", [0, 1, 2])
def test_too_few_lesions_of_a_diagnosis_are_named(lesions: int) -> None:
    with pytest.raises(InputError, match=f"{CODES[3]} has {lesions}"):
        split(metadata([10, 10, 10, lesions, 10, 10, 10]))


def test_a_lesion_with_two_diagnoses_is_named() -> None:
    table = metadata()
    table.loc[table["lesion_id"].duplicated().idxmax(), "dx"] = CODES[-1]
    lesion = table.loc[table["lesion_id"].duplicated().idxmax(), "lesion_id"]
    with pytest.raises(InputError, match=f"{lesion}.*{CODES[0]}, {CODES[-1]}"):
        split(table)


def test_a_row_without_a_lesion_is_named() -> None:
    table = metadata()
    table.loc[5, "lesion_id"] = None
    with pytest.raises(InputError, match=r"row 5 \(image I_000005\)"):
        split(table)


def test_an_unknown_diagnosis_is_named() -> None:
    table = metadata()
    table.loc[table["lesion_id"] == table["lesion_id"].iloc[0], "dx"] = "wart"
    with pytest.raises(InputError, match="unknown dx wart"):
        split(table)


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.0, 0.1), (0.1, -0.1)])
def test_fractions_that_leave_a_side_empty_are_refused(fractions: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="validation_fraction"):
        split(metadata(), validation=fractions[0], test=fractions[1])
