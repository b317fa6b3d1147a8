"""Random changes of training pictures, drawn by TensorFlow for a whole batch and made by OpenCV.

Rotation, shift, zoom and flips are composed into one affine transform, so that a picture is interpolated once.
Every draw is stateless: the same seed gives the same batch, which is what lets training resume exactly. OpenCV's
transform does in an eighth of the time what TensorFlow's own (`ImageProjectiveTransformV3`) does.
"""

from typing import Any

import cv2
import numpy as np

from derma_assets.tensorflow_runtime import import_tensorflow
from derma_assets.training.parts import Part
from derma_assets.training.recipe import Augmentation

# Batches are made side by side; threads within one picture would only get in each other's way.
cv2.setNumThreads(1)

_ALIGNMENT = 64


def augment(pictures: Any, seed: Any, how: Augmentation, part: Part | None = None) -> Any:
    """Return randomly changed pictures.

    Args:
        pictures: (n, s, s, 3) uint8 or float32 tensor, RGB 0..255.
        seed: (2,) int64 tensor; equal seeds give equal changes.
        how: Ranges of the changes.
        part: Which pictures of a batch these are, if not all: they change as they would in the whole one.

    Returns:
        (n, s, s, 3) float32 tensor, RGB 0..255.
    """
    tf = import_tensorflow()
    pictures = tf.convert_to_tensor(pictures)
    count, side = tf.shape(pictures)[0] if part is None else part.count, tf.shape(pictures)[1]
    seeds = tf.random.split(seed, 3)
    drawn = [_transforms(count, side, seeds[0], how)]
    if how.brightness or how.contrast or how.colour:
        drawn += _colours(count, seeds[1], how)
    if part is not None:
        drawn = [part.of(values) for values in drawn]
    return tf.ensure_shape(tf.numpy_function(_changed, [pictures, *drawn], tf.float32, stateful=False), pictures.shape)


def _changed(pictures: np.ndarray, transforms: np.ndarray, *colours: np.ndarray) -> np.ndarray:
    """Return (n, s, s, 3) float32: each picture moved by its transform and then, if asked for, recoloured."""
    changed = _aligned(pictures.shape)
    picture = np.empty(pictures.shape[1:], np.float32)
    for number, moved in enumerate(changed):
        picture[...] = pictures[number]
        cv2.warpAffine(
            picture,
            transforms[number],
            moved.shape[1::-1],
            dst=moved,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        if colours:
            _recolour(moved, *(drawn[number] for drawn in colours))
    return changed


def _aligned(shape: tuple[int, ...]) -> np.ndarray:
    """Return an empty float32 array that starts where TensorFlow takes it as it is; any other it would copy."""
    size = int(np.prod(shape)) * 4
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(np.float32).reshape(shape)


def mixed(
    pictures: Any, targets: Any, weights: Any, seed: Any, alpha: float, part: Part | None = None
) -> tuple[Any, Any, Any]:
    """Return the batch with every picture mixed with another of it, and the targets and weights alike.

    Args:
        pictures: (n, s, s, 3) float32; with `part`, the pictures of that part of the batch alone.
        targets: (n, 7) float32, one-hot.
        weights: (n,) float32 loss weights.
        seed: (2,) int64 tensor.
        alpha: The share of the other picture is drawn from Beta(alpha, alpha), one for each picture.
        part: Which pictures of the batch are there, if not all.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
    """
    tf = import_tensorflow()
    first, second = tf.unstack(
        tf.random.stateless_gamma([2, tf.shape(weights)[0]], tf.random.split(seed, 4)[3], alpha=alpha)
    )
    share = first / tf.maximum(first + second, 1e-30)

    def mix(values: Any, share: Any = share) -> Any:
        of_one = tf.reshape(share, [-1] + [1] * (len(values.shape) - 1))
        return values * of_one + values[::-1] * (1 - of_one)

    return mix(pictures, share if part is None else part.of(share)), mix(targets), mix(weights)


def _transforms(count: Any, side: Any, seed: Any, how: Augmentation) -> Any:
    """Return (n, 2, 3) affine transforms from output to input coordinates (x, y), about the picture's centre."""
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
    return tf.reshape(tf.stack([a, b, x, c, d, y], axis=1), [-1, 2, 3])


def _colours(count: Any, seed: Any, how: Augmentation) -> list[Any]:
    """Return (n, 3) gains of the channels, (n,) contrasts and (n,) brightnesses in grey levels."""
    tf = import_tensorflow()
    seeds = tf.random.split(seed, 3)
    gain = tf.random.stateless_uniform([count, 3], seeds[0], 1 - how.colour, 1 + how.colour)
    contrast = tf.random.stateless_uniform([count], seeds[1], 1 - how.contrast, 1 + how.contrast)
    brightness = tf.random.stateless_uniform([count], seeds[2], -how.brightness, how.brightness) * 255
    return [gain, contrast, brightness]


def _recolour(picture: np.ndarray, gain: np.ndarray, contrast: np.ndarray, brightness: np.ndarray) -> None:
    """Change brightness, contrast and the gain of each channel in place: other lamps, other cameras."""
    mean = np.array(cv2.mean(picture)[:3], np.float32)
    offset = mean * (1 - contrast) * gain + brightness
    cv2.transform(picture, np.column_stack([np.diag(contrast * gain), offset]), dst=picture)
    np.clip(picture, 0, 255, out=picture)
