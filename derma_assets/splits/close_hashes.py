"""Every pair of 64-bit hashes that differ in few bits, found with faiss instead of comparing all with all.

The bits are dealt into bands. Two hashes that differ in at most t bits differ, in at least one of b bands, in at most
t // b bits (pigeonhole; Norouzi, Punjani, Fleet, "Fast Exact Search in Hamming Space With Multi-Index Hashing", IEEE
TPAMI 36, 2014). So for each band faiss keeps the hashes in a table by their bits in it, and looks up every value that
differs from a hash's own in so few: the same pairs as by comparing all, in time that grows with the hashes and not
with their square.
"""

from math import comb

import numpy as np

from derma_assets.errors import InputError

HASH_BITS = 64
# Hashes looked up at once: if a tenth of a million are near copies of one another, this many still fit the memory.
_AT_ONCE = 4096


def close_pairs(hashes: np.ndarray, threshold: int, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every pair i < j of hashes that differ in at most `threshold` bits, and in how many.

    Args:
        hashes: (n,) uint64, all different.
        threshold: 0..63; the search is fast while it is small.
        most: So many pairs may be found.

    Returns:
        Three (m,) int64 arrays: i, j and the distance, each pair once, in the order of i and j.

    Raises:
        InputError: there are more than `most` pairs.
    """
    count = len(hashes)
    bits = np.unpackbits(np.ascontiguousarray(hashes).view(np.uint8).reshape(count, HASH_BITS // 8), axis=1)
    bands = _bands(threshold, count)
    keys = np.empty(0, np.int64)
    for band in range(bands):
        # Every so many-th bit makes a band, because neighbouring bits of a pHash depend on each other.
        turned = np.roll(np.argsort(np.arange(HASH_BITS) % bands, kind="stable"), -_start(band, bands))
        found = _pairs_by_band(bits[:, turned], HASH_BITS // bands, threshold // bands, threshold, most)
        keys = np.union1d(keys, found[0] * count + found[1])
        if len(keys) > most:
            raise too_many(len(keys), most)
    i, j = np.divmod(keys, max(count, 1))
    return i, j, np.bitwise_count(hashes[i] ^ hashes[j]).astype(np.int64)


def too_many(pairs: int, most: int) -> InputError:
    """Return the error that says so to a person."""
    return InputError(
        f"at least {pairs:,} pairs of pictures look alike, more than {most:,}: the pictures are probably blank, or "
        "one picture stands in for many. Look at the hashes in raw_images."
    )


def _bands(threshold: int, hashes: int) -> int:
    """Return into how many bands the bits are dealt so that a search looks at least: few look-ups, each with few hits.

    More bands are narrower, so that fewer bits may differ in one, but more hashes have the same bits in it.
    """

    def looked_at(bands: int) -> float:
        width = HASH_BITS // bands
        values = sum(comb(width, flipped) for flipped in range(threshold // bands + 1))
        return bands * values * (1 + hashes / 2**width)

    return min(range(1, threshold + 2), key=looked_at)


def _start(band: int, bands: int) -> int:
    """Return where a band starts among bits that are ordered by band."""
    return sum(len(range(earlier, HASH_BITS, bands)) for earlier in range(band))


def _pairs_by_band(
    bits: np.ndarray, width: int, flipped: int, threshold: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs i < j within `threshold` that differ in at most `flipped` of the first `width` bits.

    Args:
        bits: (n, 64) uint8 of 0 and 1.
    """
    import faiss  # Native, and next to TensorFlow in a process: only where it is used.

    codes = np.ascontiguousarray(np.packbits(bits, axis=1, bitorder="little"))
    band = codes.view(np.uint64)[:, 0] & np.uint64((1 << width) - 1)
    # In the order of their band, hashes that follow each other are looked up in places that lie near each other.
    order = np.argsort(band, kind="stable")
    codes = codes[order]
    index = faiss.IndexBinaryMultiHash(HASH_BITS, 1, width)
    index.nflip = flipped
    index.add(codes)
    firsts, seconds, pairs = [], [], 0
    for start in range(0, len(codes), _AT_ONCE):
        # faiss finds what is nearer than the radius.
        limits, _, places = index.range_search(codes[start : start + _AT_ONCE], threshold + 1)
        one = np.repeat(np.arange(start, start + len(limits) - 1), np.diff(limits.astype(np.int64)))
        once = one < places  # each pair comes twice, and each hash finds itself
        firsts.append(order[one[once]])
        seconds.append(order[places[once]])
        pairs += int(once.sum())
        if pairs > most:
            raise too_many(pairs, most)
    first, second = np.concatenate([*firsts, np.empty(0, np.int64)]), np.concatenate([*seconds, np.empty(0, np.int64)])
    return np.minimum(first, second), np.maximum(first, second)
