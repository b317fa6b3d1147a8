"""Parts of a batch: together they are the batch, and each keeps the pairs that mixup mixes."""

import numpy as np
import pytest

from derma_assets.training.input_pipeline import prediction_parts, training_batches, training_parts
from derma_assets.training.parts import Share, part_of_batch
from derma_assets.training.recipe import DEFAULT


@pytest.mark.parametrize("replicas", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [1, 2, 9, 16, 33])
def test_each_picture_is_in_one_part_beside_its_partner(count: int, replicas: int) -> None:
    parts = [part_of_batch(count, replica, replicas).positions.numpy() for replica in range(replicas)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(count))
    for positions in parts:
        assert (positions[::-1] == count - 1 - positions).all()
        assert (np.diff(positions) > 0).all()
    assert max(map(len, parts)) - min(map(len, parts)) <= 2


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_the_parts_of_a_batch_are_what_the_whole_one_is(mixup: float) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    labels, weights = np.arange(10) % 7, np.linspace(0.5, 2, 10, dtype=np.float32)
    recipe = DEFAULT.model_copy(update={"batch_size": 7, "epochs": 2, "mixup": mixup})
    arguments = (pixels, np.arange(10), labels, weights)
    whole = list(training_batches(*arguments, recipe=recipe, first_epoch=0, seed=3).as_numpy_iterator())
    processes = [
        training_parts(*arguments, recipe=recipe, first_epoch=0, seed=3, share=Share(here, 3)).as_numpy_iterator()
        for here in ([0, 1], [2])
    ]
    assert [len(pictures) for pictures, *_ in whole] == [7, 3, 7, 3]
    for pictures, targets, batch_weights in whole:
        of_replicas = [next(processes[0]), next(processes[0]), next(processes[1])]
        together = np.full_like(pictures, np.nan)
        for part, positions, all_targets, all_weights in of_replicas:
            together[positions] = part
            np.testing.assert_array_equal(all_targets, targets)
            np.testing.assert_array_equal(all_weights, batch_weights)
        np.testing.assert_allclose(together, pictures, atol=1e-4)


def test_pictures_to_judge_by_come_in_order() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    rows, labels = np.array([3, 1, 4, 5, 9]), np.array([0, 1, 2, 3, 4])
    parts = prediction_parts(pixels, rows, labels, share=Share([0, 1], 2), batch_size=4).take(4)
    seen = {}
    for number, (pictures, positions, targets) in enumerate(parts.as_numpy_iterator()):
        for picture, position in zip(pictures, positions, strict=True):
            seen[number // 2 * 4 + int(position)] = (picture, targets[position].argmax())
    assert sorted(seen) == list(range(5))
    for place, (picture, label) in seen.items():
        np.testing.assert_array_equal(picture, pixels[rows[place]])
        assert label == labels[place]
