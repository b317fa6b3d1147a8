import numpy as np
import pandas as pd
import pytest

from derma_assets.errors import InputError
from derma_assets.splits.grouped_splits import split_by_lesion
from derma_assets.splits.leakage import near_duplicates_across_sides
from derma_assets_tests.splits.generated import manifest, metadata


@pytest.fixture
def splits() -> pd.DataFrame:
    return split_by_lesion(metadata(), 0.1, 0.1, folds=5, seed=42)


@pytest.fixture
def pictures(splits: pd.DataFrame) -> pd.DataFrame:
    return manifest(splits["image_id"].tolist())


def first_of(splits: pd.DataFrame, side: str) -> int:
    return int(splits.index[splits["split"] == side][0])


def plant(pictures: pd.DataFrame, source: int, copy: int, bits: list[int]) -> None:
    flipped = int(pictures.loc[source, "phash"], 16)
    for bit in bits:
        flipped ^= 1 << bit
    pictures.loc[copy, "phash"] = f"{flipped:016x}"


def test_unrelated_pictures_give_no_pair(splits: pd.DataFrame, pictures: pd.DataFrame) -> None:
    pairs = near_duplicates_across_sides(splits, pictures)
    assert pairs.empty
    assert pairs.columns.tolist() == [
        *(f"{column}_a" for column in ("image_id", "split", "lesion_id", "dx")),
        *(f"{column}_b" for column in ("image_id", "split", "lesion_id", "dx")),
        "distance",
        "exact",
    ]
    assert pairs["exact"].dtype == bool


@pytest.mark.parametrize("bits", [[], [0], [0, 1, 2, 3], [0, 21, 42, 63], [5, 6, 62, 63]])
def test_a_planted_near_duplicate_is_found_once(splits: pd.DataFrame, pictures: pd.DataFrame, bits: list[int]) -> None:
    train, test = first_of(splits, "train"), first_of(splits, "test")
    plant(pictures, source=test, copy=train, bits=bits)
    (pair,) = near_duplicates_across_sides(splits, pictures).to_dict("records")
    assert (pair["image_id_a"], pair["split_a"]) == (splits.loc[train, "image_id"], "train")
    assert (pair["image_id_b"], pair["split_b"]) == (splits.loc[test, "image_id"], "test")
    assert pair["distance"] == len(bits)
    assert not pair["exact"]


def test_five_bits_are_too_far(splits: pd.DataFrame, pictures: pd.DataFrame) -> None:
    plant(pictures, first_of(splits, "test"), first_of(splits, "train"), bits=[1, 2, 3, 4, 5])
    assert near_duplicates_across_sides(splits, pictures).empty


def test_the_same_file_comes_first(splits: pd.DataFrame, pictures: pd.DataFrame) -> None:
    train, validation, test = (first_of(splits, side) for side in ("train", "validation", "test"))
    plant(pictures, source=test, copy=train, bits=[])
    plant(pictures, source=test, copy=validation, bits=[])
    pictures.loc[validation, "sha256"] = pictures.loc[test, "sha256"]
    pairs = near_duplicates_across_sides(splits, pictures)
    assert len(pairs) == 3
    assert pairs["exact"].tolist() == [True, False, False]
    assert pairs.loc[0, "split_a"] == "validation"


def test_pairs_on_one_side_or_of_one_lesion_are_not_listed(splits: pd.DataFrame, pictures: pd.DataFrame) -> None:
    train = splits.index[splits["split"] == "train"]
    plant(pictures, source=int(train[0]), copy=int(train[-1]), bits=[])
    splits.loc[first_of(splits, "test"), "lesion_id"] = splits.loc[first_of(splits, "validation"), "lesion_id"]
    plant(pictures, source=first_of(splits, "test"), copy=first_of(splits, "validation"), bits=[])
    assert near_duplicates_across_sides(splits, pictures).empty


def test_unreadable_pictures_are_left_out(splits: pd.DataFrame, pictures: pd.DataFrame) -> None:
    pictures.loc[first_of(splits, "test"), ["status", "phash"]] = ["truncated", ""]
    assert near_duplicates_across_sides(splits, pictures).empty


def test_agrees_with_comparing_every_pair() -> None:
    draw = np.random.default_rng(1)
    count = 10_000
    splits = pd.DataFrame(
        {
            "image_id": [f"I{index}" for index in range(count)],
            "lesion_id": [f"L{index}" for index in range(count)],
            "dx": "any",
            "split": draw.choice(["train", "validation", "test"], count, p=[0.8, 0.1, 0.1]),
        }
    )
    pictures = manifest(splits["image_id"].tolist())
    # Crowded around few centres, as hashes of pictures that are all a blob in the middle are.
    centres = draw.integers(0, 2**64, size=500, dtype=np.uint64)
    noise = np.bitwise_or.reduce(np.uint64(1) << draw.integers(0, 64, size=(4, count), dtype=np.uint64), axis=0)
    hashes = draw.choice(centres, count) ^ noise
    pictures["phash"] = [f"{value:016x}" for value in hashes]
    pairs = near_duplicates_across_sides(splits, pictures)
    side = splits["split"].to_numpy()
    expected = sum(
        int(((np.bitwise_count(hashes[i] ^ hashes[i + 1 :]) <= 4) & (side[i] != side[i + 1 :])).sum())
        for i in range(count)
    )
    assert len(pairs) == expected > 100
    assert not pairs.duplicated(["image_id_a", "image_id_b"]).any()


def test_blank_pictures_without_end_are_refused(splits: pd.DataFrame, pictures: pd.DataFrame) -> None:
    pictures["phash"] = "0" * 16
    with pytest.raises(InputError, match="probably blank"):
        near_duplicates_across_sides(splits, pictures)


def test_a_hash_that_is_none_is_named(splits: pd.DataFrame, pictures: pd.DataFrame) -> None:
    pictures.loc[2, "phash"] = "xyz"
    with pytest.raises(InputError, match="I_000002"):
        near_duplicates_across_sides(splits, pictures)
