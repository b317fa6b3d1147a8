"""Pictures that look alike and sit on different sides although their lesion identifiers differ.

Splitting by lesion trusts the identifiers. This looks at the pictures themselves: a perceptual hash (pHash, 64 bits;
Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010) hardly changes under
recompression, resizing and small changes of brightness, so near-equal hashes are near-equal pictures. A rotated or
mirrored copy has another hash and is not found.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from derma_assets.errors import InputError
from derma_assets.splits.grouped_splits import SIDES

NEAR_DUPLICATE_BITS = 4
HASH_BITS = 64
# More than any real data set has; it would take gigabytes to list the pairs of thousands of blank pictures.
MOST_PAIRS = 500_000

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
        Integer columns `row_a` < `row_b`, positions in `pictures`, and `distance` (bits that differ); each pair once.

    Raises:
        InputError: a hash is not 16 hexadecimal digits, or so many pictures look alike that they cannot be real.
    """
    hashes, group = np.unique(_as_integers(pictures), return_inverse=True)
    # Equal hashes are joined first, so that a picture repeated many times costs nothing in the search.
    first, second, distance = _close_pairs(hashes, threshold)
    of_hash = pd.DataFrame({"hash": group, "row": np.arange(len(pictures))})
    in_group = of_hash["hash"].value_counts().reindex(range(len(hashes)), fill_value=0).to_numpy()
    expected = int((in_group[first] * in_group[second]).sum())
    if expected > MOST_PAIRS:
        raise InputError(
            f"{expected:,} pairs of pictures look alike, more than {MOST_PAIRS:,}: the pictures are probably blank, or "
            "one picture stands in for many. Look at the hashes in raw_images."
        )
    pairs = pd.DataFrame({"hash_a": first, "hash_b": second, "distance": distance.astype(np.int64)})
    for end in ("a", "b"):
        pairs = pairs.merge(of_hash.rename(columns={"hash": f"hash_{end}", "row": f"row_{end}"}), on=f"hash_{end}")
    # Within one hash every pair comes twice, once each way round; across two hashes once, either way round.
    rows = np.sort(pairs[["row_a", "row_b"]].to_numpy(), axis=1)
    once = (rows[:, 0] < rows[:, 1]) & ((pairs["hash_a"] != pairs["hash_b"]) | (pairs["row_a"] < pairs["row_b"]))
    found = pd.DataFrame({"row_a": rows[:, 0], "row_b": rows[:, 1], "distance": pairs["distance"]})
    return found[np.asarray(once)].reset_index(drop=True)


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
    wrong = pictures.loc[~pictures["phash"].astype(str).str.fullmatch("[0-9a-fA-F]{16}"), "image_id"]
    if len(wrong):
        raise InputError(
            f"{len(wrong)} pictures have no perceptual hash of 16 hexadecimal digits, for example {wrong.iloc[0]}: "
            "materialize raw_images again."
        )
    return np.array([int(digits, 16) for digits in pictures["phash"]], dtype=np.uint64)


def _close_pairs(hashes: np.ndarray, threshold: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every pair i <= j of hashes that differ in at most `threshold` bits, and in how many.

    The bits are dealt into threshold + 1 bands. Two hashes that differ in at most `threshold` bits agree in
    all bits of at least one band (pigeonhole), so only hashes that share a band are compared.

    Args:
        hashes: (n,) uint64, all different.

    Returns:
        Three (m,) arrays: i, j and the distance, each pair once; (i, i, 0) is among them.
    """
    found = [np.repeat(np.arange(len(hashes))[:, None], 2, axis=1)]
    for band in range(threshold + 1):
        # Every (threshold + 1)-th bit, because neighbouring bits of a pHash depend on each other.
        mask = np.uint64(sum(1 << bit for bit in range(band, HASH_BITS, threshold + 1)))
        for i, j in _pairs_of_equals(hashes & mask):
            near = np.bitwise_count(hashes[i] ^ hashes[j]) <= threshold
            found.append(np.stack([i[near], j[near]], axis=1))
    pairs = np.unique(np.concatenate(found), axis=0)
    i, j = pairs[:, 0], pairs[:, 1]
    return i, j, np.bitwise_count(hashes[i] ^ hashes[j])


def _pairs_of_equals(keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, as arrays, all pairs i < j with keys[i] == keys[j], shift by shift along the sorted keys."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    start = np.arange(len(keys))
    shift = 1
    while len(start):
        start = start[start + shift < len(keys)]
        # Equal keys stand together, so a key without an equal at this distance has none further on.
        start = start[ordered[start] == ordered[start + shift]]
        if len(start):
            yield order[start], order[start + shift]
        shift += 1
