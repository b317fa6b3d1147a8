import pandas as pd

from derma_assets.diagnoses import CODES
from derma_assets.splits.grouped_splits import split_by_lesion
from derma_assets.splits.split_quality import class_shares, classes_missing, lesions_on_two_sides
from derma_assets_tests.splits.generated import metadata


def good() -> pd.DataFrame:
    return split_by_lesion(metadata(), 0.1, 0.1, folds=5, seed=42)


def test_a_good_split_passes() -> None:
    assert lesions_on_two_sides(good()) == []
    assert classes_missing(good()) == []
    assert class_shares(good())["within"].all()


def test_a_lesion_on_two_sides_is_found() -> None:
    splits = good()
    row = splits.index[splits["lesion_id"].duplicated(keep=False) & (splits["split"] == "train")][0]
    splits.loc[row, "split"] = "test"
    assert lesions_on_two_sides(splits) == [splits.loc[row, "lesion_id"]]


def test_shares_are_over_lesions_and_the_difference_is_absolute() -> None:
    splits = pd.DataFrame(
        [
            ("i1", "l1", CODES[0], "train"),
            ("i2", "l1", CODES[0], "train"),
            ("i3", "l2", CODES[1], "train"),
            ("i4", "l3", CODES[1], "validation"),
            ("i5", "l4", CODES[0], "test"),
        ],
        columns=["image_id", "lesion_id", "dx", "split"],
    )
    shares = class_shares(splits).set_index(["split", "dx"])
    assert shares.loc[("train", CODES[0]), "share"] == 0.5
    assert shares.loc[("validation", CODES[0]), "share"] == 0
    assert shares.loc[("validation", CODES[0]), "share_of_all"] == 0.5
    assert shares.loc[("validation", CODES[0]), "difference"] == 0.5


def test_a_skewed_side_is_out_of_tolerance() -> None:
    splits = good()
    splits.loc[(splits["split"] == "test") & (splits["dx"] == CODES[5]), "split"] = "train"
    outside = class_shares(splits).query("not within")
    assert ("test", CODES[5]) in set(zip(outside["split"], outside["dx"], strict=True))
    assert classes_missing(splits) == [("test", CODES[5])]


def test_an_empty_side_is_out_of_tolerance() -> None:
    splits = good().query("split != 'validation'")
    assert not class_shares(splits).query("split == 'validation'")["within"].any()
