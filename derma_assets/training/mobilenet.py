"""MobileNet (Howard et al., 2017, arXiv:1704.04861), as Keras has it."""

import warnings
from pathlib import Path
from typing import Any

from derma_assets.errors import InputError
from derma_assets.tensorflow_runtime import import_keras


def build(scaled: Any, alpha: float) -> Any:
    """Return the network above a tensor, with random weights.

    Args:
        scaled: (n, s, s, 3) float32, -1 to 1.
        alpha: Width multiplier.

    Returns:
        `keras.Model` from the input of `scaled` to (n, s / 32, s / 32, 1024 alpha).
    """
    return import_keras().applications.MobileNet(include_top=False, alpha=alpha, weights=None, input_tensor=scaled)


def load(backbone: Any, alpha: float, weights: str) -> None:
    """Fill the weights of what `build` returned, in place.

    Args:
        backbone: What `build` returned.
        alpha: Its width multiplier.
        weights: `imagenet` (downloaded by Keras), or the path of a `.weights.h5` file without top.

    Raises:
        InputError: the weights cannot be had or do not fit.
    """
    of_keras = import_keras().applications.MobileNet
    choice = {"include_top": False, "alpha": alpha, "input_shape": backbone.input_shape[1:]}
    try:
        if weights == "imagenet":
            donor = of_keras(weights="imagenet", **choice)
        else:
            donor = of_keras(weights=None, **choice)
            with warnings.catch_warnings():
                # Keras 3 names containers that files of older versions never had; the weights are all there.
                warnings.filterwarnings("ignore", message="Skipping nested container")
                donor.load_weights(Path(weights).expanduser())
    except Exception as error:  # Keras raises bare Exception for a failed download, ValueError or OSError for a file
        raise InputError(
            f"the MobileNet weights {weights!r} could not be loaded for alpha {alpha}: {error}. "
            "Check the connection or the file; if it is of another network, set DERMA_BACKBONE to that. "
            "DERMA_BACKBONE_WEIGHTS takes `imagenet`, a path, or `random`."
        ) from error
    backbone.set_weights(donor.get_weights())
