"""The convolutional networks that a classifier can be made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from derma_assets.errors import InputError
from derma_assets.training import efficientnet_lite, mobilenet


@dataclass(frozen=True)
class Backbone:
    """One of them.

    Attributes:
        name: As people call it.
        source: Where it is described.
        weights_file: What a file of its weights is, for a message.
        build: From (n, s, s, 3) float32 pictures of -1 to 1 and a width multiplier to a `keras.Model` that ends in
            (n, s / 32, s / 32, k).
        load: Fills such a model's weights, given its width multiplier, from `imagenet` or a file.
        layers: How many it has, as Keras counts them, with the input.
        first: Name of its first convolution, which has `first_channels` at full width.
        middle: Name of the layer whose features tell unfamiliar pictures, see calibration/familiarity.py: the output of
            the seventh block of thirteen. Of EfficientNet-Lite0, where it was not measured, of the ninth of sixteen.
    """

    name: str
    source: str
    weights_file: str
    build: Callable[[Any, float], Any]
    load: Callable[[Any, float, str], None]
    layers: int
    first: str
    middle: str
    first_channels: int = 32


BACKBONES = {
    "mobilenet": Backbone(
        name="MobileNet",
        source="Howard et al., 2017, arXiv:1704.04861",
        weights_file=".h5, without top",
        build=mobilenet.build,
        load=mobilenet.load,
        layers=86,
        first="conv1",
        middle="conv_pw_7_relu",
    ),
    "efficientnet_lite0": Backbone(
        name="EfficientNet-Lite0",
        source="Tan, Le, ICML 2019, arXiv:1905.11946",
        weights_file=f"as the one in the package {efficientnet_lite.PACKAGE}",
        build=efficientnet_lite.build,
        load=efficientnet_lite.load,
        layers=141,
        first="stem",
        middle="block8_expand_relu",
        first_channels=efficientnet_lite.STEM_CHANNELS,
    ),
}


def key_of(name: str) -> str:
    """Return the key among `BACKBONES` of a network that people call `name`.

    Raises:
        InputError: there is none.
    """
    for key, kind in BACKBONES.items():
        if kind.name == name:
            return key
    known = ", ".join(kind.name for kind in BACKBONES.values())
    raise InputError(
        f"there is no network {name!r} among {known}: update the project, or take a release that was made with this "
        "version."
    )
