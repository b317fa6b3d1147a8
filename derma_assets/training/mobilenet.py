"""The classifier: MobileNet (Howard et al., 2017, arXiv:1704.04861) with a seven-way head."""

import warnings
from pathlib import Path
from typing import Any

from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training import weights_file


def build_classifier(size: int, *, alpha: float, weights: str, trainable_layers: int, dropout: float, seed: int) -> Any:
    """Return the classifier as one flat functional model.

    Args:
        size: Side of the input picture in pixels.
        alpha: Width multiplier.
        weights: `imagenet` (downloaded by Keras), `random`, the path of a `.weights.h5` file without top, or that of a
            release's `weights.npz`, of which the head is left out: it starts anew.
        trainable_layers: How many of MobileNet's last layers are trainable; the head always is.
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
    backbone = keras.applications.MobileNet(include_top=False, alpha=alpha, weights=None, input_tensor=scaled)
    _load_backbone_weights(backbone, size, alpha, weights)
    backbone.trainable = True
    for layer in backbone.layers[: max(len(backbone.layers) - trainable_layers, 0)]:
        layer.trainable = False
    features = keras.layers.GlobalAveragePooling2D(name="pooling")(backbone.output)
    features = keras.layers.Dropout(dropout, seed=seed, name="dropout")(features)
    logits = keras.layers.Dense(len(CODES), name="logits")(features)
    return keras.Model(pictures, logits, name="derma_mobilenet")


def _load_backbone_weights(backbone: Any, size: int, alpha: float, weights: str) -> None:
    """Fill the backbone's weights in place; `random` leaves its initial ones."""
    keras = import_keras()
    if weights == "random":
        return
    if Path(weights).suffix == weights_file.ENDING:
        path = Path(weights).expanduser()
        if not path.is_file():
            raise InputError(
                f"there is no release to start from: {path} is not there. Make one (`make release`), take data/release "
                "from the project's repository, or set DERMA_BACKBONE_WEIGHTS to `imagenet`, `random` or a file."
            )
        weights_file.load_weights(backbone, path)
        return
    donor = keras.applications.MobileNet(include_top=False, alpha=alpha, weights=None, input_shape=(size, size, 3))
    try:
        if weights == "imagenet":
            donor = keras.applications.MobileNet(
                include_top=False, alpha=alpha, weights="imagenet", input_shape=(size, size, 3)
            )
        else:
            path = Path(weights).expanduser()
            if not path.is_file():
                raise InputError(
                    f"DERMA_BACKBONE_WEIGHTS={weights} is not a file. Give the path of a MobileNet weights file "
                    "(.h5, without top), `imagenet` to download one, or `random`."
                )
            with warnings.catch_warnings():
                # Keras 3 names containers that files of older versions never had; the weights are all there.
                warnings.filterwarnings("ignore", message="Skipping nested container")
                donor.load_weights(path)
    except InputError:
        raise
    except Exception as error:  # Keras raises bare Exception for a failed download, ValueError or OSError for a file
        raise InputError(
            f"the MobileNet weights {weights!r} could not be loaded for alpha {alpha}: {error}. "
            "Check the network or the file; DERMA_BACKBONE_WEIGHTS takes `imagenet`, a path, or `random`."
        ) from error
    values = donor.get_weights()
    backbone.set_weights(values)
