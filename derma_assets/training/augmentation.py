"""Random changes of training pictures, as TensorFlow operations on whole batches.

Rotation, shift, zoom and flips are composed into one projective transform, so that a picture is interpolated
once. Every draw is stateless: the same seed gives the same batch, which is what lets training resume exactly.
"""

from typing import Any

from derma_assets.tensorflow_runtime import import_tensorflow
from derma_assets.training.recipe import Augmentation


def augment(pictures: Any, seed: Any, how: Augmentation) -> Any:
    """Return randomly changed pictures.

    Args:
        pictures: (n, s, s, 3) uint8 or float32 tensor, RGB 0..255.
        seed: (2,) int64 tensor; equal seeds give equal changes.
        how: Ranges of the changes.

    Returns:
        (n, s, s, 3) float32 tensor, RGB 0..255.
    """
    tf = import_tensorflow()
    pictures = tf.cast(pictures, tf.float32)
    seeds = tf.random.split(seed, 3)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures,
        transforms=_transforms(tf.shape(pictures)[0], tf.shape(pictures)[1], seeds[0], how),
        output_shape=tf.shape(pictures)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    if how.brightness or how.contrast or how.colour:
        moved = _recolour(moved, seeds[1], how)
    return tf.ensure_shape(moved, pictures.shape)


def mixed(pictures: Any, targets: Any, weights: Any, seed: Any, alpha: float) -> tuple[Any, Any, Any]:
    """Return the batch with every picture mixed with another of it, and the targets and weights alike.

    Args:
        pictures: (n, s, s, 3) float32.
        targets: (n, 7) float32, one-hot.
        weights: (n,) float32 loss weights.
        seed: (2,) int64 tensor.
        alpha: The share of the other picture is drawn from Beta(alpha, alpha), one for each picture.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
    """
    tf = import_tensorflow()
    first, second = tf.unstack(
        tf.random.stateless_gamma([2, tf.shape(pictures)[0]], tf.random.split(seed, 4)[3], alpha=alpha)
    )
    share = first / tf.maximum(first + second, 1e-30)

    def mix(values: Any) -> Any:
        of_one = tf.reshape(share, [-1] + [1] * (len(values.shape) - 1))
        return values * of_one + values[::-1] * (1 - of_one)

    return mix(pictures), mix(targets), mix(weights)


def _transforms(count: Any, side: Any, seed: Any, how: Augmentation) -> Any:
    """Return (n, 8) projective transforms from output to input coordinates, about the picture's centre."""
    tf = import_tensorflow()
    seeds = tf.random.split(seed, 4)
    largest = how.rotation_degrees / 180 * 3.141592653589793
    angle = tf.random.stateless_uniform([count], seeds[0], -largest, largest)
    scale = tf.random.stateless_uniform([count], seeds[1], 1 - how.zoom_in, 1 + how.zoom_out)
    side = tf.cast(side, tf.float32)
    shift = tf.random.stateless_uniform([2, count], seeds[2], -how.shift, how.shift) * side
    flip = tf.ones([2, count])
    if how.flips:
        flip = tf.sign(tf.random.stateless_uniform([2, count], seeds[3], -1.0, 1.0) + 1e-9)
    a, b = tf.cos(angle) * scale * flip[0], -tf.sin(angle) * scale * flip[1]
    c, d = tf.sin(angle) * scale * flip[0], tf.cos(angle) * scale * flip[1]
    centre = (side - 1) / 2
    x = centre - a * centre - b * centre + shift[0]
    y = centre - c * centre - d * centre + shift[1]
    zero = tf.zeros([count])
    return tf.stack([a, b, x, c, d, y, zero, zero], axis=1)


def _recolour(pictures: Any, seed: Any, how: Augmentation) -> Any:
    """Change brightness, contrast and the gain of each channel: other lamps, other cameras."""
    tf = import_tensorflow()
    count = tf.shape(pictures)[0]
    seeds = tf.random.split(seed, 3)
    gain = tf.random.stateless_uniform([count, 1, 1, 3], seeds[0], 1 - how.colour, 1 + how.colour)
    contrast = tf.random.stateless_uniform([count, 1, 1, 1], seeds[1], 1 - how.contrast, 1 + how.contrast)
    brightness = tf.random.stateless_uniform([count, 1, 1, 1], seeds[2], -how.brightness, how.brightness) * 255
    mean = tf.reduce_mean(pictures, axis=[1, 2], keepdims=True)
    return tf.clip_by_value(((pictures - mean) * contrast + mean) * gain + brightness, 0.0, 255.0)
