"""The classifier: a convolutional network (`backbones.py`) with a seven-way head."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training import weights_file
from derma_assets.training.backbones import BACKBONES, Backbone

_PREFIX = "derma_"
# The layers that are not the backbone's.
_OWN_LAYERS = ("pictures", "rescaling", "pooling", "dropout", "logits")


def build_classifier(
    size: int,
    *,
    architecture: str = "mobilenet",
    alpha: float,
    weights: str,
    trainable_layers: int,
    dropout: float,
    seed: int,
) -> Any:
    """Return the classifier as one flat functional model.

    Args:
        size: Side of the input picture in pixels.
        architecture: One of `BACKBONES`.
        alpha: Width multiplier.
        weights: `imagenet`, `random`, the path of a file of the backbone's weights, or that of a release's
            `weights.npz`, of which the head is left out: it starts anew.
        trainable_layers: How many of the backbone's last layers are trainable; the head always is.
        dropout: Share of features dropped before the last layer.
        seed: Seed of the initial weights and of dropout.

    Returns:
        `keras.Model` from (n, size, size, 3) float32 RGB 0..255 to (n, 7) float32 logits in the order of `CODES`.

    Raises:
        InputError: the weights cannot be had or do not fit. Nothing else is used in their place.
    """
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    pictures = keras.Input((size, size, 3), name="pictures")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(pictures)
    backbone = BACKBONES[architecture].build(scaled, alpha)
    _load_backbone_weights(BACKBONES[architecture], backbone, alpha, weights)
    backbone.trainable = True
    for layer in backbone.layers[: max(len(backbone.layers) - trainable_layers, 0)]:
        layer.trainable = False
    features = keras.layers.GlobalAveragePooling2D(name="pooling")(backbone.output)
    features = keras.layers.Dropout(dropout, seed=seed, name="dropout")(features)
    logits = keras.layers.Dense(len(CODES), name="logits")(features)
    return keras.Model(pictures, logits, name=f"{_PREFIX}{architecture}")


def _load_backbone_weights(kind: Backbone, backbone: Any, alpha: float, weights: str) -> None:
    """Fill the backbone's weights in place; `random` leaves its initial ones."""
    if weights == "random":
        return
    path = Path(weights).expanduser()
    if path.suffix == weights_file.ENDING:
        if not path.is_file():
            raise InputError(
                f"there is no release to start from: {path} is not there. Make one (`make release`), take data/release "
                "from the project's repository, or set DERMA_BACKBONE_WEIGHTS to `imagenet`, `random` or a file."
            )
        weights_file.load_weights(backbone, path)
        return
    if weights != "imagenet" and not path.is_file():
        raise InputError(
            f"DERMA_BACKBONE_WEIGHTS={weights} is not a file. Give the path of a file of {kind.name}'s weights "
            f"({kind.weights_file}), `imagenet`, or `random`."
        )
    kind.load(backbone, alpha, weights)


def architecture_of(model: Any) -> str:
    """Return which of `BACKBONES` a classifier is made of.

    Raises:
        InputError: of none of them.
    """
    architecture = model.name.removeprefix(_PREFIX)
    if architecture not in BACKBONES:
        raise InputError(f"the model {model.name} is made of none of {', '.join(BACKBONES)}: train it again.")
    return architecture


@dataclass(frozen=True)
class Shape:
    """What a classifier is like, read from it.

    Attributes:
        architecture: One of `BACKBONES`.
        image_size: Side of the input picture in pixels.
        alpha: Width multiplier.
        trainable_layers: How many of the backbone's layers learn.
    """

    architecture: str
    image_size: int
    alpha: float
    trainable_layers: int


def shape_of(model: Any) -> Shape:
    """Return what a classifier is like."""
    architecture = architecture_of(model)
    kind = BACKBONES[architecture]
    own = [layer for layer in model.layers if layer.name not in _OWN_LAYERS]
    return Shape(
        architecture=architecture,
        image_size=int(model.input_shape[1]),
        alpha=int(model.get_layer(kind.first).kernel.shape[-1]) / kind.first_channels,
        trainable_layers=sum(layer.trainable for layer in own),
    )
