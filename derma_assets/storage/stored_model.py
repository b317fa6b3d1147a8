"""A stored Keras model that is not loaded before somebody needs it: TensorFlow alone takes seconds to import."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from derma_assets.tensorflow_runtime import import_keras

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class StoredModel:
    """A model in Keras's own format, at `path`."""

    path: Path

    def load(self) -> "keras.Model":
        """Return the model, ready to predict."""
        return import_keras().models.load_model(self.path, compile=False)
