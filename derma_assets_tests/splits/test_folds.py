import pandas as pd
import pytest

from derma_assets.errors import InputError
from derma_assets.splits.folds import fold_splits
from derma_assets.splits.grouped_splits import split_by_lesion
from derma_assets_tests.splits.generated import metadata

FOLDS = 4


@pytest.fixture(scope="module")
def splits() -> pd.DataFrame:
    return split_by_lesion(metadata(), 0.1, 0.1, FOLDS, seed=1)


def test_every_lesion_is_tested_once(splits: pd.DataFrame) -> None:
    tested = [fold_splits(splits, fold, 0.2, 1).query("split == 'test'") for fold in range(FOLDS)]
    assert sorted(pd.concat(tested)["image_id"]) == sorted(splits["image_id"])
    for fold, table in enumerate(tested):
        assert set(table["fold"]) == {fold}


def test_a_lesion_is_on_one_side_and_validation_has_its_share(splits: pd.DataFrame) -> None:
    table = fold_splits(splits, 2, 0.2, 1)
    assert (table.groupby("lesion_id")["split"].nunique() == 1).all()
    lesions = table[table["split"] != "test"].drop_duplicates("lesion_id")
    for _, group in lesions.groupby("dx"):
        assert (group["split"] == "validation").sum() == max(1, round(0.2 * len(group)))
        assert (group["split"] == "train").any()


def test_the_order_of_the_rows_does_not_matter(splits: pd.DataFrame) -> None:
    shuffled = splits.sample(frac=1, random_state=3)
    one = fold_splits(splits, 0, 0.2, 1).set_index("image_id")["split"]
    other = fold_splits(shuffled, 0, 0.2, 1).set_index("image_id")["split"]
    pd.testing.assert_series_equal(one.sort_index(), other.sort_index())
    assert not one.equals(fold_splits(splits, 0, 0.2, 2).set_index("image_id")["split"])


def test_what_cannot_be_folded_is_said(splits: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="there is no fold 9"):
        fold_splits(splits, 9, 0.2, 1)
    few = splits[(splits["dx"] != "df") | (splits["fold"] == 0)]
    with pytest.raises(InputError, match="fewer than two lesions of df"):
        fold_splits(pd.concat([few, splits[(splits["dx"] == "df") & (splits["fold"] == 1)].head(1)]), 0, 0.2, 1)
