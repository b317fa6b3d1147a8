"""Grad-CAM of every picture, exactly and without a gradient, and the map that the page shows.

Grad-CAM (Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV
2017, section 3) weighs the channels of the last feature map by the mean gradient of a class's logit and keeps what is
positive. Where the network ends in global average pooling and a dense layer, as here, that gradient is the dense
layer's weight divided by the number of positions, the same at each of them: Grad-CAM is the class activation map (CAM;
Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016) without a bias, cut off at 0, times a
positive constant (Selvaraju et al., "Grad-CAM generalizes CAM"). So maps are computed here as CAM, in one forward pass,
and equal Grad-CAM but for that constant, which no figure depends on.

The page draws another map of the same activations (browser/web/src/heatmap.ts): how far a class's activation, bias
included, lies above the mean of all classes. It is measured beside Grad-CAM, since it is what a person sees.

Both are as coarse as the last feature map: 5 x 5 cells for a picture of 160 px, 32 px each.
"""

from typing import Any

import numpy as np

from derma_assets.dataset.stored_rows import Rows
from derma_assets.errors import InputError
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training.predictor import Predictor

GRAD_CAM, SHOWN = "grad_cam", "shown_in_app"
MAPS = (GRAD_CAM, SHOWN)
# Pictures whose features are held at once, 0.1 MB each at 160 px.
_AT_ONCE = 2048


def activation_maps(model: Any, pixels: Rows) -> dict[str, np.ndarray]:
    """Return both kinds of map, for every class: (n, h, w, 7) float32, not negative, by the names in `MAPS`.

    Args:
        model: Ends in GlobalAveragePooling2D, (Dropout) and Dense: (n, S, S, 3) float32 RGB 0..255 to (n, 7) logits.
        pixels: (n, S, S, 3) uint8.

    Raises:
        InputError: the model ends otherwise, so that its maps would not be Grad-CAM.
    """
    keras = import_keras()
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.Dropout)]
    pooling, dense = layers[-2:]
    if not isinstance(pooling, keras.layers.GlobalAveragePooling2D) or not isinstance(dense, keras.layers.Dense):
        raise InputError(
            "explanations need a model that ends in GlobalAveragePooling2D and Dense, but this one ends in "
            f"{type(pooling).__name__} and {type(dense).__name__}: train it with training/classifier.py."
        )
    height, width, channels = pooling.input.shape[1:]
    flat = keras.layers.Reshape((height * width * channels,))(pooling.input)
    features_of, (kernel, bias) = Predictor(keras.Model(model.input, flat)), dense.get_weights()
    parts = []
    for rows in np.split(np.arange(len(pixels)), range(_AT_ONCE, len(pixels), _AT_ONCE)):
        features = features_of(pixels, rows, what="explaining").reshape(-1, channels)
        parts.append((features @ kernel).reshape(len(rows), height, width, -1))
    evidence = np.concatenate(parts)
    above_mean = (evidence + bias) - (evidence + bias).mean(axis=-1, keepdims=True)
    return {GRAD_CAM: np.maximum(evidence, 0), SHOWN: np.maximum(above_mean, 0)}


def enlarged(maps: np.ndarray, size: int) -> np.ndarray:
    """Return (n, h, w) maps at the pictures' size, (n, size, size), bilinear between the middles of the cells."""
    down, across = _bilinear(maps.shape[1], size), _bilinear(maps.shape[2], size)
    return np.einsum("yh,nhw,xw->nyx", down, maps, across, optimize=True).astype(np.float32)


def peaks(maps: np.ndarray, size: int) -> np.ndarray:
    """Return where (n, h, w) maps are largest, as (n, 2) row and column in pictures of `size`: the cell's middle."""
    height, width = maps.shape[1:]
    rows, columns = np.divmod(maps.reshape(len(maps), -1).argmax(axis=1), width)
    return np.stack([(rows + 0.5) * size / height, (columns + 0.5) * size / width], axis=1).astype(np.int64)


def _bilinear(cells: int, size: int) -> np.ndarray:
    """Return the (size, cells) weights of linear interpolation, constant beyond the outermost middles."""
    at = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
    return np.maximum(1 - np.abs(at[:, None] - np.arange(cells)), 0)
