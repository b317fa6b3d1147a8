"""Batches for training and prediction, read from the stored pictures as they are needed."""

import os
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from derma_assets.dataset.stored_rows import Rows
from derma_assets.diagnoses import CODES
from derma_assets.tensorflow_runtime import import_tensorflow
from derma_assets.training.augmentation import augment, mixed
from derma_assets.training.parts import Part, Share, part_of_batch
from derma_assets.training.recipe import Recipe

# From (b, s, s, 3) pictures to the same flipped or turned.
Turn = Callable[[np.ndarray], np.ndarray]

# Batches that are made at once: more than cores would only wait, more than eight only fill the memory.
_SIDE_BY_SIDE = max(2, min(os.cpu_count() or 1, 8))


def _reader(source: list[Rows], turned: Turn | None = None) -> Callable[[Any], Any]:
    """Return a TensorFlow function from (b,) int64 rows to what is stored of them: (b, s, s, 3) uint8, say.

    Args:
        source: What is stored, alone in a list, which may be emptied when no more is read: TensorFlow keeps the Python
            functions of datasets, and all they refer to, for as long as the process lives.
        turned: What is done to each batch.
    """
    tf = import_tensorflow()
    kind, shape = tf.as_dtype(source[0].dtype), source[0].shape[1:]

    def chosen_pixels(chosen: np.ndarray) -> np.ndarray:
        pictures = np.asarray(source[0][chosen])
        return pictures if turned is None else np.ascontiguousarray(turned(pictures))

    def read(rows: Any) -> Any:
        batch = tf.numpy_function(chosen_pixels, [rows], kind, stateful=False)
        return tf.ensure_shape(batch, [None, *shape])

    return read


def _letting_go(batches: Any, source: list[Rows]) -> Any:
    """Return `batches`, which empty `source` when nobody has them any more; an iterator has the dataset it is of."""
    weakref.finalize(batches, source.clear).atexit = False
    return batches


def training_batches(
    pixels: Rows,
    rows: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    *,
    recipe: Recipe,
    first_epoch: int,
    seed: int,
    targets: np.ndarray | None = None,
) -> Any:
    """Return a dataset of augmented batches for the recipe's epochs from `first_epoch` on, counted from 0.

    Order and augmentation depend on the seed and the epoch's number alone, so that epoch 7 is the same whether or
    not the run was interrupted before it. The last, smaller batch of an epoch is kept.

    Args:
        pixels: (m, s, s, 3) uint8.
        rows: (n,) int rows of `pixels` to train on.
        labels: (n,) int class indices.
        weights: (n,) float32 loss weights.
        recipe: Batch size, epochs, and how pictures are drawn, changed and mixed.
        targets: (n, 7) float32, what is learnt of each picture, if it is more than its label.

    Returns:
        `tf.data.Dataset` of ((b, s, s, 3) float32 pictures, (b, 7) float32 targets, (b,) float32 weights).
    """
    load = _loader(pixels, rows, _targets(labels, targets), weights, recipe, seed)

    def whole(epoch: Any, step: Any, chosen: Any) -> tuple[Any, Any, Any]:
        return load(epoch, step, chosen, None)

    return (
        _steps(labels, recipe, first_epoch, seed)
        .map(whole, num_parallel_calls=_SIDE_BY_SIDE, deterministic=True)
        .prefetch(4)
    )


def variant_batches(
    pixels: Rows, rows: np.ndarray, *, recipe: Recipe, variant: int, seed: int, batch_size: int = 64
) -> Any:
    """Return a dataset of (b, s, s, 3) float32 pictures in the order of `rows`, changed as an epoch changes them.

    Args:
        pixels: (m, s, s, 3) uint8.
        rows: (n,) which of the pictures.
        recipe: How they are changed.
        variant: The same number, the same changes.
        seed: Of the changes.
        batch_size: Part of what decides the changes.
    """
    tf = import_tensorflow()
    source = [pixels]
    read = _reader(source)

    def changed(step: Any, chosen: Any) -> Any:
        return augment(read(chosen), _seed_of_batch(seed, variant, step), recipe.augmentation)

    batches = tf.data.Dataset.from_tensor_slices(np.asarray(rows, np.int64)).batch(batch_size).enumerate()
    batches = batches.map(changed, num_parallel_calls=_SIDE_BY_SIDE, deterministic=True).prefetch(4)
    return _letting_go(batches, source)


def activation_batches(
    activations: Rows,
    labels: np.ndarray,
    weights: np.ndarray,
    *,
    recipe: Recipe,
    first_epoch: int,
    seed: int,
    targets: np.ndarray | None = None,
) -> Any:
    """Return what `training_batches` does, with the kept activations of the pictures in place of the pictures.

    Args:
        activations: (variants * n, h, w, c), see `kept_activations`.
        labels: (n,) int class indices. The other arguments are as in `training_batches`.

    Returns:
        `tf.data.Dataset` of ((b, h, w, c) float32, (b, 7) float32 targets, (b,) float32 weights).
    """
    tf = import_tensorflow()
    source = [activations]
    read = _reader(source)
    learnt, weighed = tf.constant(_targets(labels, targets)), tf.constant(weights)

    def load(epoch: Any, step: Any, chosen: Any) -> tuple[Any, Any, Any]:
        values = read(epoch % recipe.kept_variants * len(labels) + chosen)
        return tf.cast(values, tf.float32), tf.gather(learnt, chosen), tf.gather(weighed, chosen)

    steps = _steps(labels, recipe, first_epoch, seed)
    batches = steps.map(load, num_parallel_calls=_SIDE_BY_SIDE, deterministic=True).prefetch(4)
    return _letting_go(batches, source)  # or the disk would be full of them after the file has gone


def training_parts(
    pixels: Rows,
    rows: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    *,
    recipe: Recipe,
    first_epoch: int,
    seed: int,
    share: Share,
    targets: np.ndarray | None = None,
) -> Any:
    """Return a dataset of parts of the batches that `training_batches` would give, for several devices.

    Of every batch it has one part for each replica of this process, one after the other. Only the pictures of the part
    are read and changed; targets and weights are the whole batch's.

    Args:
        share: Which replicas are this process's. The other arguments are as in `training_batches`.

    Returns:
        `tf.data.Dataset` without end of ((b, s, s, 3) float32 pictures, (b,) int32 positions in the batch, (n, 7)
        float32 targets, (n,) float32 weights).
    """
    tf = import_tensorflow()
    load = _loader(pixels, rows, _targets(labels, targets), weights, recipe, seed)

    def for_each_replica(epoch: Any, step: Any, chosen: Any) -> Any:
        return tf.data.Dataset.from_tensor_slices(list(share.here)).map(lambda replica: (epoch, step, chosen, replica))

    def of_replica(epoch: Any, step: Any, chosen: Any, replica: Any) -> tuple[Any, Any, Any, Any]:
        part = part_of_batch(tf.size(chosen), replica, share.replicas)
        pictures, targets, batch_weights = load(epoch, step, chosen, part)
        return pictures, part.positions, targets, batch_weights

    return (
        _steps(labels, recipe, first_epoch, seed)
        .flat_map(for_each_replica)
        .map(of_replica, num_parallel_calls=_SIDE_BY_SIDE, deterministic=True)
        .prefetch(4)
        .repeat()  # so that TensorFlow need not ask all processes, before each step, whether there is another
    )


def _steps(labels: np.ndarray, recipe: Recipe, first_epoch: int, seed: int) -> Any:
    """Return a dataset of (epoch, step, (b,) positions of the pictures), both counted from 0."""
    tf = import_tensorflow()
    draw = _order(labels, recipe.class_sampling_power, seed)

    def one_epoch(epoch: Any) -> Any:
        batches = tf.data.Dataset.from_tensor_slices(draw(epoch)).batch(recipe.batch_size).enumerate()
        return batches.map(lambda step, chosen: (epoch, step, chosen))

    return tf.data.Dataset.range(first_epoch, recipe.epochs).flat_map(one_epoch)


def _seed_of_batch(seed: int, epoch: Any, step: Any) -> Any:
    tf = import_tensorflow()
    return tf.stack([tf.constant(seed, tf.int64) * 1_000_003 + epoch, step])


def _targets(labels: np.ndarray, targets: np.ndarray | None) -> np.ndarray:
    return np.eye(len(CODES), dtype=np.float32)[labels] if targets is None else targets


def _loader(
    pixels: Rows, rows: np.ndarray, targets: np.ndarray, weights: np.ndarray, recipe: Recipe, seed: int
) -> Callable[[Any, Any, Any, Part | None], tuple[Any, Any, Any]]:
    """Return a function from epoch, step, positions and part to the pictures of the part, all targets and weights."""
    tf = import_tensorflow()
    read = _reader([pixels])
    rows, targets, weights = tf.constant(rows, tf.int64), tf.constant(targets), tf.constant(weights)

    def load(epoch: Any, step: Any, chosen: Any, part: Part | None) -> tuple[Any, Any, Any]:
        batch_seed = _seed_of_batch(seed, epoch, step)
        here = chosen if part is None else part.of(chosen)
        pictures = augment(read(tf.gather(rows, here)), batch_seed, recipe.augmentation, part)
        batch = pictures, tf.gather(targets, chosen), tf.gather(weights, chosen)
        return mixed(*batch, batch_seed, recipe.mixup, part) if recipe.mixup else batch

    return load


def _order(labels: np.ndarray, sampling_power: float, seed: int) -> Callable[[Any], Any]:
    """Return a function from an epoch's number to the (n,) int64 positions that it goes through."""
    tf = import_tensorflow()
    if not sampling_power:
        positions = tf.range(len(labels), dtype=tf.int64)
        return lambda epoch: tf.random.experimental.stateless_shuffle(positions, seed=[seed, epoch])
    sizes = np.bincount(labels, minlength=len(CODES)).astype(np.float64)
    log_chances = tf.constant(-sampling_power * np.log(sizes[labels])[None], tf.float32)
    return lambda epoch: tf.random.stateless_categorical(log_chances, len(labels), [seed, epoch], tf.int64)[0]


def prediction_batches(pixels: Rows, rows: np.ndarray, batch_size: int = 64, turned: Turn | None = None) -> Any:
    """Return a dataset of (b, s, s, 3) float32 pictures, RGB 0..255, in the order of `rows`, each `turned` if told."""
    tf = import_tensorflow()
    source = [pixels]
    read = _reader(source, turned)
    batches = tf.data.Dataset.from_tensor_slices(np.asarray(rows, np.int64)).batch(batch_size)
    batches = batches.map(lambda chosen: tf.cast(read(chosen), tf.float32)).prefetch(4)
    return _letting_go(batches, source)


def prediction_parts(pixels: Rows, rows: np.ndarray, labels: np.ndarray, *, share: Share, batch_size: int) -> Any:
    """Return a dataset of parts of batches to judge a model by, in the order of `rows`; see `training_parts`.

    Returns:
        `tf.data.Dataset` without end of ((b, s, s, 3) float32 pictures, (b,) int32 positions in the batch, (n, 7)
        float32 targets).
    """
    tf = import_tensorflow()
    read = _reader([pixels])
    batches = tf.data.Dataset.from_tensor_slices((np.asarray(rows, np.int64), labels)).batch(batch_size)

    def for_each_replica(chosen: Any, of_batch: Any) -> Any:
        return tf.data.Dataset.from_tensor_slices(list(share.here)).map(lambda replica: (chosen, of_batch, replica))

    def of_replica(chosen: Any, of_batch: Any, replica: Any) -> tuple[Any, Any, Any]:
        part = part_of_batch(tf.size(chosen), replica, share.replicas)
        pictures = tf.cast(read(part.of(chosen)), tf.float32)
        return pictures, part.positions, tf.one_hot(of_batch, len(CODES))

    return batches.flat_map(for_each_replica).map(of_replica).prefetch(4).repeat()
