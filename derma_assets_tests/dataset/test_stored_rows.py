"""Rows of files are as those of an array, and only those asked for are read."""

from pathlib import Path

import numpy as np
import pytest

from derma_assets.dataset.stored_rows import StoredRows
from derma_assets.training.input_pipeline import prediction_batches, training_batches
from derma_assets.training.recipe import DEFAULT

CONTENT = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def stored(tmp_path: Path) -> StoredRows:
    """The content, dealt over three files in no order; one of them is empty."""
    file = np.array([0, 2] * 10)
    row = np.random.default_rng(1).permutation(10).repeat(2)
    for number in (0, 2):
        part = np.empty((10, 16, 16, 3), np.uint8)
        part[row[file == number]] = CONTENT[file == number]
        np.save(tmp_path / f"{number}.npy", part)
    np.save(tmp_path / "1.npy", CONTENT[:0])
    return StoredRows([tmp_path / f"{number}.npy" for number in range(3)], file, row)


def test_what_is_asked_for_is_what_an_array_gives(stored: StoredRows) -> None:
    assert (stored.shape, stored.dtype, len(stored), stored.nbytes) == (CONTENT.shape, np.uint8, 20, CONTENT.nbytes)
    for index in (0, -1, 7, np.int64(19)):
        np.testing.assert_array_equal(stored[index], CONTENT[index])
    for some in (slice(None), slice(3, 12, 2), slice(None, None, -1), slice(5, 5)):
        np.testing.assert_array_equal(stored[some], CONTENT[some])
    for rows in ([], [3], [19, 0, 0, 7], [-1, -20]):
        np.testing.assert_array_equal(stored[np.array(rows, np.int64)], CONTENT[np.array(rows, np.int64)])
    np.testing.assert_array_equal(list(stored), CONTENT)
    np.testing.assert_array_equal(np.concatenate(list(stored.batches(7))), CONTENT)


def test_some_of_the_rows_are_rows_too(stored: StoredRows) -> None:
    some = stored.at(np.array([5, 5, 19]))
    assert some.shape == (3, 16, 16, 3)
    np.testing.assert_array_equal(some[:], CONTENT[[5, 5, 19]])
    np.testing.assert_array_equal(some.at(np.array([2]))[0], CONTENT[19])
    np.testing.assert_array_equal(stored[:], CONTENT)


def test_what_is_not_there_is_refused(stored: StoredRows, tmp_path: Path) -> None:
    for index in (20, -21, np.array([0, 20])):
        with pytest.raises(IndexError):
            stored[index]
    for wrong in (np.zeros(20, bool), np.zeros((2, 2), int), (0, 1), (slice(None), 0)):
        with pytest.raises(TypeError):
            stored[wrong]
    with pytest.raises(ValueError, match="fewer rows"):
        StoredRows([tmp_path / "0.npy"], np.zeros(11, int), np.arange(11))


def test_all_of_it_is_never_read_by_accident(stored: StoredRows) -> None:
    with pytest.raises(TypeError, match="as a whole"):
        np.asarray(stored)
    with pytest.raises(TypeError, match="as a whole"):
        np.mean(stored)  # type: ignore[call-overload]


def test_what_was_opened_goes_on_being_read_when_it_is_replaced(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", CONTENT)
    stored = StoredRows([tmp_path / "a.npy"])
    np.save(tmp_path / "b.npy", CONTENT[::-1])
    (tmp_path / "b.npy").rename(tmp_path / "a.npy")
    np.testing.assert_array_equal(stored[3], CONTENT[3])


def test_masks_are_rows_as_well(tmp_path: Path) -> None:
    masks = CONTENT[..., 0] > 128
    np.save(tmp_path / "masks.npy", masks)
    stored = StoredRows([tmp_path / "masks.npy"])
    assert stored.dtype == bool
    np.testing.assert_array_equal(stored[2:9], masks[2:9])


def test_batches_are_the_same_from_files_and_from_memory(stored: StoredRows) -> None:
    rows, labels = np.array([9, 1, 15, 4]), np.array([0, 3, 6, 1])
    recipe = DEFAULT.model_copy(update={"batch_size": 3, "epochs": 1})

    def drawn(pixels: object) -> list[np.ndarray]:
        weights = np.ones(4, np.float32)
        training = training_batches(pixels, rows, labels, weights, recipe=recipe, first_epoch=0, seed=1)  # type: ignore[arg-type]
        return [*(part.numpy() for batch in training for part in batch), *prediction_batches(pixels, rows)]  # type: ignore[arg-type]

    for from_files, from_memory in zip(drawn(stored), drawn(CONTENT), strict=True):
        np.testing.assert_array_equal(from_files, from_memory)
