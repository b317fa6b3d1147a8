"""What the frozen layers make of augmented pictures: computed once, read in every epoch that shows the same variant.

Layers that do not learn give the same for the same picture. Where each epoch changes the pictures anew there is
nothing to reuse; where a few variants of each picture take turns, the frozen layers see each variant once in the whole
training, and the layers above learn from what they gave. Validation pictures do not change at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from derma_assets.dataset.stored_rows import Rows, StoredRows
from derma_assets.errors import InputError
from derma_assets.progress import bar
from derma_assets.storage.atomic import replacing
from derma_assets.tensorflow_runtime import import_keras, import_tensorflow
from derma_assets.training.input_pipeline import prediction_batches, variant_batches
from derma_assets.training.layer_graph import LayerGraph, Remade
from derma_assets.training.recipe import Recipe

# Beside the state of the training, whose name it has.
ENDING = ".activations.npy"
# Behind a ReLU that ends at 6, half precision is off by 0.002 at most; between residual blocks by a 2000th.
_PRECISION = np.float16


@dataclass(frozen=True)
class KeptActivations:
    """The activations of one training.

    Attributes:
        train: (variants * n, h, w, c): all training pictures in their first variant, then in their second.
        validation: (m, h, w, c).
    """

    train: Rows
    validation: Rows


def cut_above_frozen(learner: Any) -> tuple[Any, Any]:
    """Return the layers below the first that learns, and those from it on, as two models that share all weights.

    Args:
        learner: A flat functional `keras.Model`.

    Raises:
        InputError: every layer with weights learns, or the first that does is inside a residual block.
    """
    keras = import_keras()
    layers = LayerGraph(learner).layers
    first = next(number for number, layer in enumerate(layers) if layer.trainable_weights)
    if not any(layer.weights for layer in layers[:first]):
        raise InputError(
            "the recipe keeps what the frozen layers see (kept_variants), but all layers learn: set "
            "DERMA_TRAINABLE_LAYERS to fewer, or choose a recipe without."
        )
    cut = layers[first].input
    below = keras.Model(learner.input, cut)
    activations = keras.Input(below.output_shape[1:])
    remade = Remade(cut, activations)
    values: Any = None
    for layer in layers[first:]:
        if layer not in remade:
            raise InputError(
                f"the recipe keeps what the frozen layers see (kept_variants), but {layer.name} reads more of them "
                f"than {layers[first].name}, the first that learns: set DERMA_TRAINABLE_LAYERS so that whole blocks "
                "learn, or choose a recipe without."
            )
        values = layer(remade.given_to(layer))
        remade.put(layer, values)
    return below, keras.Model(activations, values)


def keep_activations(
    below: Any, pixels: Rows, train: np.ndarray, validation: np.ndarray, recipe: Recipe, seed: int, path: Path
) -> KeptActivations:
    """Return what `below` gives for all variants of the training pictures and for the validation pictures.

    Args:
        below: From (b, s, s, 3) float32 pictures to (b, h, w, c), see `cut_above_frozen`.
        pixels: (m, s, s, 3) uint8.
        train: (n,) rows of the training pictures.
        validation: (m,) rows of the validation pictures.
        recipe: How many variants, and how the pictures are changed.
        seed: Of the changes.
        path: File to keep them in; if it is there, it was made by the same training, and nothing is computed.

    Raises:
        StorageError: they cannot be written, say because the disk is full.
    """
    count = recipe.kept_variants * len(train)
    if not path.exists():
        batches = _all_batches(pixels, train, validation, recipe, seed)
        _write(below, batches, count + len(validation), path)
    stored = StoredRows([path])
    return KeptActivations(stored.at(np.arange(count)), stored.at(np.arange(count, len(stored))))


def _all_batches(
    pixels: Rows, train: np.ndarray, validation: np.ndarray, recipe: Recipe, seed: int
) -> Iterator[np.ndarray]:
    for variant in range(recipe.kept_variants):
        yield from variant_batches(pixels, train, recipe=recipe, variant=variant, seed=seed)
    yield from prediction_batches(pixels, validation)


def _write(below: Any, batches: Iterator[np.ndarray], count: int, path: Path) -> None:
    tf = import_tensorflow()
    see = tf.function(lambda pictures: below(pictures, training=False), reduce_retracing=True)
    shape = (count, *below.output_shape[1:])
    described = {"descr": np.dtype(_PRECISION).str, "fortran_order": False, "shape": shape}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside, beside.open("wb") as file, bar(count, "frozen layers") as shown:
        np.lib.format.write_array_header_1_0(file, described)
        for pictures in batches:
            activations = see(pictures).numpy().astype(_PRECISION)
            file.write(activations.tobytes())
            shown.update(len(activations))
