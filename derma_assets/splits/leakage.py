"""Pictures that look alike and sit on different sides although their lesion identifiers differ.

Splitting by lesion trusts the identifiers. This looks at the pictures themselves: a perceptual hash (pHash, 64 bits;
Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010) hardly changes under
recompression, resizing and small changes of brightness, so near-equal hashes are near-equal pictures. A rotated or
mirrored copy has another hash and is not found.
"""

import numpy as np
import pandas as pd

from derma_assets.dataset.spread import spread_rows
from derma_assets.errors import InputError
from derma_assets.splits.close_hashes import HASH_BITS, close_pairs, too_many
from derma_assets.splits.grouped_splits import SIDES

NEAR_DUPLICATE_BITS = 4
# More than any real data set has; it would take gigabytes to list the pairs of thousands of blank pictures.
MOST_PAIRS = 500_000
MOST_PAIRS_A_PICTURE = 10
_SAMPLED = 1000

_OF_A_PICTURE = ["image_id", "split", "lesion_id", "dx"]


def near_duplicates_across_sides(
    splits: pd.DataFrame, manifest: pd.DataFrame, threshold: int = NEAR_DUPLICATE_BITS
) -> pd.DataFrame:
    """Return the pairs of near-duplicate pictures of different lesions on different sides, closest first.

    Args:
        splits: `image_id`, `lesion_id`, `dx`, `split`.
        manifest: `image_id`, `status`, `sha256`, `phash` (16 hexadecimal digits); rows whose status is not "ok"
            are left out.
        threshold: Most bits of 64 in which two hashes may differ.

    Returns:
        `image_id_a`, `split_a`, `lesion_id_a`, `dx_a`, the same for b, `distance` (bits that differ) and `exact` (the
        two files are the same byte for byte). The side of a comes before that of b in train, validation, test.

    Raises:
        InputError: a hash is not 16 hexadecimal digits, or so many pictures look alike that they cannot be real.
    """
    readable = manifest.loc[manifest["status"] == "ok", ["image_id", "sha256", "phash"]]
    pictures = splits[_OF_A_PICTURE].merge(readable, on="image_id", validate="one_to_one")
    return _across_sides(look_alikes(pictures, threshold), pictures)


def look_alikes(pictures: pd.DataFrame, threshold: int) -> pd.DataFrame:
    """Return every pair of pictures whose perceptual hashes differ in at most `threshold` of 64 bits.

    Args:
        pictures: `image_id` and `phash` (16 hexadecimal digits).
        threshold: 0..63; the search is fast while it is small.

    Returns:
        Integer columns `row_a` < `row_b`, positions in `pictures`, and `distance` (bits that differ); each pair once,
        in their order.

    Raises:
        InputError: a hash is not 16 hexadecimal digits, or so many pictures look alike that they cannot be real.
    """
    most = _most_pairs(len(pictures))
    # Equal hashes are joined first, so that a picture repeated many times costs nothing in the search.
    hashes, group, members = np.unique(_as_integers(pictures), return_inverse=True, return_counts=True)
    first, second, distance = close_pairs(hashes, threshold, most)
    repeated = np.flatnonzero(members > 1)
    expected = int((members[first] * members[second]).sum() + (members[repeated] * (members[repeated] - 1) // 2).sum())
    if expected > most:
        raise too_many(expected, most)
    return _rows_of_hashes(
        group,
        np.concatenate([first, repeated]),
        np.concatenate([second, repeated]),
        np.concatenate([distance, np.zeros(len(repeated), np.int64)]),
    )


def affordable_bits(pictures: pd.DataFrame, bits: int, least: int) -> int:
    """Return in how many bits hashes may differ, at most `bits`, for `look_alikes` not to find too many pairs.

    Alike pictures grow with the square of all. How many there are is estimated from some of the pictures.

    Args:
        pictures: `image_id` and `phash`.
        bits: As many as are wished for.
        least: Fewer are not returned, whatever they find.

    Raises:
        InputError: a hash is not 16 hexadecimal digits.
    """
    hashes = _as_integers(pictures)
    some = hashes[spread_rows(np.arange(len(hashes)), _SAMPLED)]
    at_distance = np.zeros(HASH_BITS + 1, np.int64)
    for one in some:
        at_distance += np.bincount(np.bitwise_count(hashes ^ one), minlength=HASH_BITS + 1)
    at_distance[0] -= len(some)  # each is its own likeness
    pairs = np.cumsum(at_distance) * len(hashes) / max(len(some), 1) / 2
    return next((fewer for fewer in range(bits, least, -1) if pairs[fewer] <= _most_pairs(len(hashes)) / 2), least)


def _most_pairs(pictures: int) -> int:
    return max(MOST_PAIRS, MOST_PAIRS_A_PICTURE * pictures)


def _rows_of_hashes(group: np.ndarray, first: np.ndarray, second: np.ndarray, distance: np.ndarray) -> pd.DataFrame:
    """Return the pairs of pictures that have pairs of hashes, as `look_alikes` does.

    Args:
        group: (n,) number of the hash of each picture.
        first: (m,) number of one hash of each pair, its own partner where its pictures are paired with each other.
        second: (m,) number of the other.
        distance: (m,) bits in which they differ.
    """
    rows, members = np.argsort(group, kind="stable"), np.bincount(group)
    start, products = np.cumsum(members) - members, members[first] * members[second]
    pair = np.repeat(np.arange(len(first)), products)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(products) - products, products)
    a, b = np.divmod(within, members[second][pair])
    once = (first != second)[pair] | (a < b)
    ends = np.stack([rows[start[first][pair] + a], rows[start[second][pair] + b]], axis=1)[once]
    ends.sort(axis=1)
    found = pd.DataFrame({"row_a": ends[:, 0], "row_b": ends[:, 1], "distance": distance[pair][once]})
    return found.sort_values(["row_a", "row_b"], ignore_index=True)


def _across_sides(pairs: pd.DataFrame, pictures: pd.DataFrame) -> pd.DataFrame:
    """Keep the pairs of rows of `pictures` that cross sides and lesions, the earlier side first, and describe them."""
    side = pictures["split"].map(SIDES.index).to_numpy()
    lesion = pd.factorize(pictures["lesion_id"])[0]
    a, b = pairs["row_a"].to_numpy(), pairs["row_b"].to_numpy()
    keep = (side[a] != side[b]) & (lesion[a] != lesion[b])
    a, b, distance = a[keep], b[keep], pairs["distance"].to_numpy()[keep]
    a, b = np.where(side[a] < side[b], a, b), np.where(side[a] < side[b], b, a)
    ends = [
        pictures[_OF_A_PICTURE].iloc[rows].reset_index(drop=True).add_suffix(f"_{end}")
        for end, rows in (("a", a), ("b", b))
    ]
    sha256 = pictures["sha256"].to_numpy()
    table = pd.concat(ends, axis=1).assign(distance=distance.astype(np.int64), exact=sha256[a] == sha256[b])
    table["exact"] = table["exact"].astype(bool)
    order = table.assign(not_exact=~table["exact"]).sort_values(["not_exact", "distance", "image_id_a", "image_id_b"])
    return table.loc[order.index].reset_index(drop=True)


def _as_integers(pictures: pd.DataFrame) -> np.ndarray:
    """Return the perceptual hashes as (n,) uint64."""
    wrong = pictures.loc[~pictures["phash"].astype(str).str.fullmatch(f"[0-9a-fA-F]{{{HASH_BITS // 4}}}"), "image_id"]
    if len(wrong):
        raise InputError(
            f"{len(wrong)} pictures have no perceptual hash of 16 hexadecimal digits, for example {wrong.iloc[0]}: "
            "materialize raw_images again."
        )
    return np.array([int(digits, 16) for digits in pictures["phash"]], dtype=np.uint64)
