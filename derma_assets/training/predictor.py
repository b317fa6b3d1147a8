"""A trained model, compiled once, that looks at many pictures: all its outputs, or what it sees inside."""

from typing import Any

import numpy as np

from derma_assets.dataset.stored_rows import Rows
from derma_assets.errors import InputError
from derma_assets.progress import bar
from derma_assets.tensorflow_runtime import import_keras, import_tensorflow
from derma_assets.training.input_pipeline import Turn, prediction_batches


class Predictor:
    """Gives the (n, k) float32 output of a model for pictures, with dropout off, showing progress."""

    def __init__(self, model: Any) -> None:
        """Compile a model from (n, S, S, 3) float32 RGB 0..255 to (n, k)."""
        tf = import_tensorflow()
        self._outputs = int(model.output_shape[-1])
        signature = [tf.TensorSpec(model.input_shape, tf.float32)]
        self._forward = tf.function(lambda batch: model(batch, training=False), input_signature=signature)

    def __call__(
        self, pixels: Rows, rows: np.ndarray | None = None, what: str = "predicting", turned: Turn | None = None
    ) -> np.ndarray:
        """Return (n, k) float32.

        Args:
            pixels: (m, S, S, 3) uint8.
            rows: (n,) which of the pictures; all of them if left out.
            what: Shown beside the progress.
            turned: What is done to each batch of pictures before.
        """
        rows = np.arange(len(pixels)) if rows is None else rows
        outputs = []
        with bar(len(rows), what) as shown:
            for batch in prediction_batches(pixels, rows, turned=turned):
                outputs.append(self._forward(batch).numpy())
                shown.update(len(outputs[-1]))
        return np.concatenate(outputs) if outputs else np.empty((0, self._outputs), np.float32)


def feature_extractor(model: Any, layer: str) -> Predictor:
    """Return what gives the channels of a layer's output, averaged over height and width.

    Args:
        model: The trained classifier.
        layer: Name of a layer of the model whose output is (n, h, w, k).

    Raises:
        InputError: the model has no layer of that name.
    """
    keras = import_keras()
    if layer not in [one.name for one in model.layers]:
        raise InputError(
            f"the trained model has no layer {layer}, whose features tell unfamiliar pictures: train it again, or name "
            "another layer in training/backbones.py (`middle`)."
        )
    return Predictor(keras.Model(model.input, keras.layers.GlobalAveragePooling2D()(model.get_layer(layer).output)))
