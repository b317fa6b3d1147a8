"""Training as the paper's code does it: Keras's `ImageDataGenerator` and `model.fit`. Only the benchmark uses it."""

import contextlib
import io
import time
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.diagnoses import CODES
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training.class_weights import class_weights
from derma_assets.training.recipe import PAPER, Recipe


def paper_generator() -> Any:
    """Return an `ImageDataGenerator` with the augmentation of the recipe `paper`, filled as Keras does by itself."""
    from keras._tf_keras.keras.preprocessing.image import ImageDataGenerator

    how = PAPER.augmentation
    return ImageDataGenerator(
        rotation_range=how.rotation_degrees,
        width_shift_range=how.shift,
        height_shift_range=how.shift,
        zoom_range=(1 - how.zoom_in, 1 + how.zoom_out),
        horizontal_flip=how.flips,
        vertical_flip=how.flips,
        fill_mode="nearest",
    )


def batches_from_files(pictures: pd.DataFrame, size: int, batch_size: int) -> Any:
    """Return endless batches of pictures that are decoded anew each time.

    Args:
        pictures: Columns `path` and `dx`, one row per picture of an epoch.
        size: Side of the square pictures, in pixels.
        batch_size: Pictures per batch.

    Returns:
        Keras iterator over ((b, size, size, 3) float32 RGB 0..255, (b, 7) one-hot float32).
    """
    frame = pictures.assign(path=pictures["path"].astype(str))
    with contextlib.redirect_stdout(io.StringIO()):  # it says how many files it has found
        return paper_generator().flow_from_dataframe(
            frame, x_col="path", y_col="dx", classes=list(CODES), target_size=(size, size), batch_size=batch_size
        )


def batches_from_memory(pixels: np.ndarray, labels: np.ndarray, batch_size: int) -> Any:
    """Return endless batches of pictures that all lie decoded in memory, as float32.

    Args:
        pixels: (n, s, s, 3) uint8.
        labels: (n,) int class indices.
        batch_size: Pictures per batch.

    Returns:
        Keras iterator over ((b, s, s, 3) float32 RGB 0..255, (b, 7) one-hot float32).
    """
    return paper_generator().flow(pixels, np.eye(len(CODES), dtype=np.float32)[labels], batch_size=batch_size)


def fit_as_the_paper(model: Any, batches: Any, labels: np.ndarray, recipe: Recipe) -> list[float]:
    """Train `model` in place, without validation, and return how many seconds each epoch took.

    Args:
        model: The classifier, see `classifier.build_classifier`.
        batches: What one of the functions above returns.
        labels: (n,) int class indices of all training pictures.
        recipe: Its epochs, learning rate (Adam) and class weights are used.
    """
    keras = import_keras()

    class Clock(keras.callbacks.Callback):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds.append(time.perf_counter() - self.began)

    clock = Clock()
    model.compile(
        optimizer=keras.optimizers.Adam(recipe.learning_rate),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    weights = class_weights(labels, recipe.class_weight_power, recipe.class_weight_factors)
    model.fit(
        batches,
        epochs=recipe.epochs,
        class_weight={index: float(weight) for index, weight in enumerate(weights)},
        callbacks=[clock],
        verbose=0,
    )
    return clock.seconds
