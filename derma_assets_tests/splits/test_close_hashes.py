"""The index finds exactly the pairs that comparing every hash with every other finds."""

import numpy as np
import pandas as pd
import pytest

from derma_assets.errors import InputError
from derma_assets.splits.close_hashes import close_pairs
from derma_assets.splits.leakage import affordable_bits, look_alikes
from derma_assets.tensorflow_runtime import import_tensorflow


def drawn(kind: str, count: int) -> np.ndarray:
    """Return different hashes: spread evenly, crowded around few centres, or all a few bits from black."""
    draw = np.random.default_rng(1)
    centres = {
        "even": draw.integers(0, 2**64, count, dtype=np.uint64),
        "crowded": draw.choice(draw.integers(0, 2**64, count // 20, dtype=np.uint64), count),
        "black": np.zeros(count, np.uint64),
    }[kind]
    flipped = np.uint64(1) << draw.integers(0, 64, size=(3, count), dtype=np.uint64)
    return np.unique(centres ^ np.bitwise_or.reduce(flipped, axis=0))


def by_comparing_all(hashes: np.ndarray, threshold: int) -> list[tuple[int, int, int]]:
    distance = np.bitwise_count(hashes[:, None] ^ hashes)
    first, second = np.nonzero(np.triu(distance <= threshold, 1))
    return list(zip(first.tolist(), second.tolist(), distance[first, second].tolist(), strict=True))


@pytest.mark.parametrize("kind", ["even", "crowded", "black"])
@pytest.mark.parametrize("threshold", [0, 1, 4, 5, 10])
def test_the_same_pairs_as_by_comparing_all(kind: str, threshold: int) -> None:
    hashes = drawn(kind, 1000)
    expected = by_comparing_all(hashes, threshold)
    found = close_pairs(hashes, threshold, most=10**7)
    assert list(zip(*(part.tolist() for part in found), strict=True)) == expected
    if kind != "even" and threshold >= 4:
        assert len(expected) > 500


def test_few_hashes_and_none() -> None:
    assert [len(part) for part in close_pairs(np.empty(0, np.uint64), 4, 10)] == [0, 0, 0]
    assert [len(part) for part in close_pairs(np.array([7], np.uint64), 4, 10)] == [0, 0, 0]
    one, other, bits = close_pairs(np.array([7, 2**63 + 7], np.uint64), 4, 10)
    assert (one.tolist(), other.tolist(), bits.tolist()) == ([0], [1], [1])


def test_more_pairs_than_can_be_are_refused_before_they_fill_the_memory() -> None:
    with pytest.raises(InputError, match="probably blank"):
        close_pairs(drawn("black", 1000), 10, most=100_000)


def test_pictures_with_equal_hashes_are_paired_once() -> None:
    hashes = ["0" * 16, "f" * 16, "0" * 16, "0" * 15 + "1", "0" * 16]
    pictures = pd.DataFrame({"image_id": list("abcde"), "phash": hashes})
    assert look_alikes(pictures, 4).to_numpy().tolist() == [
        [0, 2, 0],
        [0, 3, 1],
        [0, 4, 0],
        [2, 3, 1],
        [2, 4, 0],
        [3, 4, 1],
    ]


def test_one_picture_ten_thousand_times_is_counted_not_listed() -> None:
    pictures = pd.DataFrame({"image_id": "x", "phash": ["0" * 16] * 10_000})
    with pytest.raises(InputError, match="49,995,000 pairs"):
        look_alikes(pictures, 4)


def test_the_search_works_beside_tensorflow() -> None:
    tf = import_tensorflow()
    hashes = drawn("crowded", 2000)
    before = float(tf.reduce_sum(tf.matmul(tf.ones((256, 256)), tf.ones((256, 256)))))
    found = close_pairs(hashes, 4, most=10**6)
    assert len(found[0]) == len(by_comparing_all(hashes, 4))
    assert float(tf.reduce_sum(tf.matmul(tf.ones((256, 256)), tf.ones((256, 256))))) == before


def test_many_alike_pictures_are_looked_for_with_fewer_bits() -> None:
    def pictures(hashes: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame({"image_id": "x", "phash": [f"{value:016x}" for value in hashes]})

    assert affordable_bits(pictures(drawn("even", 2000)), 10, 4) == 10
    # All within six bits of each other: two million pairs.
    alike = pictures(drawn("black", 2000))
    bits = affordable_bits(alike, 10, 4)
    assert bits == 4
    assert len(look_alikes(alike, bits)) > 1000
    assert affordable_bits(pictures(np.empty(0, np.uint64)), 10, 4) == 10
