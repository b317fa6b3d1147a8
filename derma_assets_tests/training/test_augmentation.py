import gc
import weakref

import numpy as np
import pytest

from derma_assets.tensorflow_runtime import import_tensorflow
from derma_assets.training import input_pipeline
from derma_assets.training.augmentation import _recolour, _transforms, augment, mixed
from derma_assets.training.input_pipeline import prediction_batches, training_batches
from derma_assets.training.recipe import DEFAULT, Augmentation

NOTHING = Augmentation(rotation_degrees=0, shift=0, zoom_in=0, zoom_out=0, flips=False)


def _pictures(count: int = 8, side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def test_nothing_changes_when_nothing_is_asked_for() -> None:
    changed = augment(_pictures(), np.array([1, 2]), NOTHING).numpy()
    np.testing.assert_allclose(changed, _pictures(), atol=1e-3)


def test_flips_are_exact_and_all_four_happen() -> None:
    picture = _pictures(1)
    batch = np.repeat(picture, 64, axis=0)
    changed = augment(batch, np.array([1, 2]), NOTHING.model_copy(update={"flips": True})).numpy()
    seen = set()
    for one in changed:
        found = [
            (vertical, horizontal)
            for vertical in (1, -1)
            for horizontal in (1, -1)
            if np.abs(one - picture[0, ::vertical, ::horizontal]).max() < 1e-2
        ]
        assert found
        seen.add(found[0])
    assert len(seen) == 4


def test_zoom_in_shows_the_middle() -> None:
    ramp = np.tile(np.arange(64, dtype=np.float32)[:, None, None], (200, 1, 64, 3))
    changed = augment(ramp, np.array([3, 4]), NOTHING.model_copy(update={"zoom_in": 0.5})).numpy()
    spans = changed[:, -1, 0, 0] - changed[:, 0, 0, 0]
    assert spans.min() >= 31
    assert spans.max() <= 63.01
    np.testing.assert_allclose(changed[:, :, 0, 0].mean(axis=1), 31.5, atol=0.05)


def test_a_seed_gives_the_same_change_and_another_seed_another() -> None:
    first, again, other = (augment(_pictures(), np.array([1, s]), DEFAULT.augmentation).numpy() for s in (2, 2, 3))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 10
    assert first.min() >= 0
    assert first.max() <= 255


def _epochs(first_epoch: int, **recipe: object) -> list[tuple[np.ndarray, ...]]:
    batches = training_batches(
        _pictures(10),
        np.arange(10),
        np.arange(10) % 7,
        np.ones(10, np.float32),
        recipe=DEFAULT.model_copy(update={"batch_size": 4, "epochs": 3, **recipe}),
        first_epoch=first_epoch,
        seed=42,
    )
    return [tuple(np.asarray(part) for part in batch) for batch in batches]


@pytest.mark.parametrize("recipe", [{}, {"mixup": 0.2}, {"class_sampling_power": 0.5}], ids=str)
def test_an_epoch_is_the_same_whether_or_not_training_was_interrupted_before_it(recipe: dict[str, float]) -> None:
    whole, continued = _epochs(0, **recipe), _epochs(2, **recipe)
    assert [len(batch[0]) for batch in whole] == [4, 4, 2] * 3
    for expected, got in zip(whole[6:], continued, strict=True):
        for one, other in zip(expected, got, strict=True):
            np.testing.assert_array_equal(one, other)


def test_every_epoch_has_every_picture_once_in_a_new_order() -> None:
    orders = [np.concatenate([batch[1].argmax(1) for batch in _epochs(0)[3 * e : 3 * e + 3]]) for e in range(3)]
    assert all(sorted(order) == sorted(np.arange(10) % 7) for order in orders)
    assert not np.array_equal(orders[0], orders[1])


def test_sampling_draws_rare_classes_as_often_as_common_ones() -> None:
    labels = np.array([0] * 60 + [1] * 4)
    recipe = DEFAULT.model_copy(update={"batch_size": 64, "epochs": 40, "class_sampling_power": 1.0})
    batches = training_batches(
        _pictures(64), np.arange(64), labels, np.ones(64, np.float32), recipe=recipe, first_epoch=0, seed=1
    )
    drawn = np.mean([np.asarray(targets).mean(0) for _, targets, _ in batches], axis=0)
    assert drawn[:2] == pytest.approx([0.5, 0.5], abs=0.03)


def test_mixup_mixes_pictures_targets_and_weights_by_the_same_share() -> None:
    tf = import_tensorflow()
    pictures = tf.constant(np.stack([np.full((4, 4, 3), value, np.float32) for value in (0, 100, 200)]))
    targets, weights = tf.eye(3, 7), tf.constant([1.0, 2.0, 3.0])
    got, labels, share = (np.asarray(part) for part in mixed(pictures, targets, weights, tf.constant([3, 4]), 1.0))
    own = labels[[0, 2], [0, 2]]
    assert ((own > 0) & (own < 1)).all()
    np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(got[:, 0, 0, 0], [200 * (1 - own[0]), 100, 200 * own[1]], rtol=1e-5)
    np.testing.assert_allclose(share, [own[0] + 3 * (1 - own[0]), 2, 3 * own[1] + 1 - own[1]], rtol=1e-6)


def test_pictures_are_let_go_once_nothing_reads_them_any_more() -> None:
    pictures = _pictures(10)
    alive = weakref.ref(pictures)
    batches = iter(prediction_batches(pictures, np.arange(10), batch_size=3))
    del pictures
    gc.collect()
    assert alive() is not None
    assert sum(len(batch) for batch in batches) == 10
    del batches
    gc.collect()
    assert alive() is None


def test_prediction_batches_keep_the_order() -> None:
    tf = import_tensorflow()
    rows = np.array([7, 2, 2, 9])
    got = tf.concat(list(prediction_batches(_pictures(10), rows, batch_size=3)), axis=0).numpy()
    np.testing.assert_array_equal(got, _pictures(10)[rows].astype(np.float32))


def test_pictures_are_moved_as_tensorflow_moves_them_reflected_beyond_the_edge() -> None:
    tf = import_tensorflow()
    far = Augmentation(shift=0.5, zoom_in=0.5, zoom_out=0.9)
    pictures, seed = _pictures(32, 40), np.array([5, 6])
    transforms = _transforms(32, 40, tf.random.split(seed, 3)[0], far)
    expected = tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures.astype(np.float32),
        transforms=tf.pad(tf.reshape(transforms, [32, 6]), [[0, 0], [0, 2]]),
        output_shape=[40, 40],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    np.testing.assert_allclose(augment(pictures, seed, far), expected, atol=0.05)


def test_colours_are_changed_about_the_pictures_mean_and_stay_in_range() -> None:
    picture = np.zeros((2, 2, 3), np.float32)
    picture[0] = [100, 200, 50]
    picture[1] = [0, 100, 150]
    _recolour(picture, np.array([1.1, 1, 0.9], np.float32), np.float32(1.2), np.float32(20))
    # Means 50, 150, 100: 50 + 1.2 * 50 = 110, times 1.1, plus 20, and so on.
    np.testing.assert_allclose(picture[0, 0], [141, 230, 56], atol=1e-3)
    np.testing.assert_allclose(picture[1, 1], [9, 110, 164], atol=1e-3)
    bright = np.full((2, 2, 3), 250, np.float32)
    _recolour(bright, np.ones(3, np.float32), np.float32(1), np.float32(20))
    assert (bright == 255).all()


def test_batches_hold_the_same_numbers_however_many_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    several = _epochs(0)
    monkeypatch.setattr(input_pipeline, "_SIDE_BY_SIDE", 1)
    for batch, alone in zip(several, _epochs(0), strict=True):
        for one, other in zip(batch, alone, strict=True):
            np.testing.assert_array_equal(one, other)
