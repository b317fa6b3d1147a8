"""What goes into the 1 x 1 convolutions of a model on real pictures, as far as rounding their kernels needs it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from derma_assets.tensorflow_runtime import import_keras

if TYPE_CHECKING:
    import keras

_BATCH = 16


def input_moments(model: "keras.Model", layers: Sequence[str], pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Return the second moments of what each layer is given, at every position of every picture.

    Args:
        model: A functional model.
        layers: Names of 1 x 1 convolutions in it.
        pictures: (n, S, S, 3) uint8 or float32 RGB 0..255.

    Returns:
        For each layer of i inputs (i + 1, i + 1) float64: the mean outer product of the inputs, with a one as the last
        of them, with itself.
    """
    if not layers:
        return {}
    keras = import_keras()
    given = keras.Model(model.input, [model.get_layer(name).input for name in layers])
    sums = dict.fromkeys(layers, 0.0)
    for start in range(0, len(pictures), _BATCH):
        batch = np.asarray(pictures[start : start + _BATCH], np.float32)
        # Keras gives a single output not in a list, but as it is.
        outputs = given(batch, training=False) if len(layers) > 1 else [given(batch, training=False)]
        for name, output in zip(layers, outputs, strict=True):
            inputs = np.asarray(output).reshape(-1, output.shape[-1])
            inputs = np.hstack([inputs, np.ones((len(inputs), 1), np.float32)])
            sums[name] = sums[name] + (inputs.T @ inputs / len(inputs)).astype(np.float64) * len(batch)
    return {name: np.asarray(total) / len(pictures) for name, total in sums.items()}
