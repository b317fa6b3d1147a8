"""What each variant of the deployed model weighs, and what it loses on test pictures.

The weights are read back from the files that a browser would load and dequantised as TF.js does, so what is
measured is the variant itself; only the arithmetic is TensorFlow's.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from derma_assets.browser.conversion import (
    QUANTISED,
    SCALE,
    TOPOLOGY,
    VARIANTS,
    bias_nodes,
    kernel_layer,
)
from derma_assets.calibration.familiarity import FamiliarityModel
from derma_assets.calibration.temperature import softmax
from derma_assets.dataset.stored_rows import Rows
from derma_assets.diagnoses import CODES, MELANOMA
from derma_assets.errors import InputError
from derma_assets.evaluation.metrics import accuracy, confusion, macro, precision_recall_f1, roc_auc
from derma_assets.tensorflow_runtime import import_keras, import_tensorflowjs
from derma_assets.training.predictor import feature_extractor

if TYPE_CHECKING:
    import keras

# Keras keeps what every layer gives until the last is done: at 160 px 25 MB a picture.
_BATCH = 16


@dataclass(frozen=True)
class Pictures:
    """Pictures with their diagnoses.

    Attributes:
        pixels: (n, S, S, 3) uint8 or float32 RGB 0..255.
        labels: (n,) int, positions in `CODES`.
    """

    pixels: Rows
    labels: np.ndarray


@dataclass(frozen=True)
class Reference:
    """What Keras computes for n pictures.

    Attributes:
        logits: (n, 7) float32 of the trained model.
        unfamiliarity: (n,) as the input guard measures it.
    """

    logits: np.ndarray
    unfamiliarity: np.ndarray

    def __getitem__(self, pictures: slice) -> "Reference":
        """Return what belongs to some of the pictures."""
        return Reference(self.logits[pictures], self.unfamiliarity[pictures])


def reference_of(model: "keras.Model", familiarity: FamiliarityModel, pixels: Rows) -> Reference:
    """Return what Keras computes.

    Args:
        model: The trained model.
        familiarity: Fitted to the pooled output of one of its layers.
        pixels: (n, S, S, 3) uint8.
    """
    features = feature_extractor(model, familiarity.layer)(pixels, what="measuring unfamiliarity")
    return Reference(logits_of(model, pixels), familiarity.unfamiliarity(features))


def read_layers(variant: Path) -> dict[str, list[np.ndarray]]:
    """Return the float32 weights of a TF.js graph model by layer name, dequantised as the browser does it.

    Returns:
        For each layer with a kernel the kernel, and its bias where the two are fused into one operation.

    Raises:
        InputError: a weight that is no kernel was quantised, so these would not describe the variant.
    """
    topology = json.loads((variant / TOPOLOGY).read_text())
    manifest, biases = topology["weightsManifest"], bias_nodes(topology)
    entries = import_tensorflowjs().read_weights.read_weights(manifest, str(variant), flatten=True)
    weights = {entry["name"]: entry["data"] for entry in entries}
    quantised = {
        w["name"].removesuffix(QUANTISED) for group in manifest for w in group["weights"] if "quantization" in w
    }
    products = {name for name in quantised if name + QUANTISED in weights}
    weights |= {name: weights[name + QUANTISED] * weights[name + SCALE] for name in products}
    layers: dict[str, list[np.ndarray]] = {}
    for name, values in weights.items():
        layer = kernel_layer(name)
        if layer:
            bias = [weights[biases[name]]] if biases.get(name) in weights else []
            layers[layer] = [np.asarray(weight, np.float32) for weight in (values, *bias)]
        elif name in quantised:
            raise InputError(f"{variant}: {name} is quantised, but is no kernel that can be measured.")
    return layers


def with_layers(deployed: "keras.Model", layers: Mapping[str, list[np.ndarray]]) -> "keras.Model":
    """Return a copy of the deployed model with the weights of a variant.

    Args:
        deployed: From `graph_model.deployed_model`.
        layers: From `read_layers`, for every layer that has weights; what it does not name stays as it is.

    Raises:
        InputError: names or shapes do not fit.
    """
    keras = import_keras()
    copy = keras.models.clone_model(deployed)
    left = dict(layers)
    for layer in deployed.layers:
        weights = layer.get_weights()
        if not weights:
            continue
        read = left.pop(layer.name, [])
        if not read or any(new.shape != old.shape for new, old in zip(read, weights, strict=False)):
            raise InputError(f"the converted model has no kernel of shape {weights[0].shape} for {layer.name}.")
        copy.get_layer(layer.name).set_weights([*read, *weights[len(read) :]])
    if left:
        raise InputError(f"the converted model has kernels that the model has not: {', '.join(left)}.")
    return copy


def compare_variants(deployed: "keras.Model", folder: Path, test: Pictures, reference: Reference) -> pd.DataFrame:
    """Return one row per variant: its size and what it loses on test against the trained model.

    Args:
        deployed: From `graph_model.deployed_model`.
        folder: Folder that `conversion.export_variants` wrote.
        test: Pictures to compare on.
        reference: What the trained model says of them.

    Returns:
        Columns `variant` (the first row, `keras`, is the trained model), `bytes`, `accuracy`, `macro_f1`,
        `melanoma_roc_auc`, `top1_agreement` (share of pictures with the same first diagnosis as the trained
        model), `max_logit_difference`, and `max_unfamiliarity_difference`, as a share of its value.
    """
    rows = [
        {"variant": "keras", "bytes": int(deployed.count_params()) * 4}
        | _scores(reference.logits, reference.unfamiliarity, reference, test.labels)
    ]
    for variant in VARIANTS:
        outputs = outputs_of(with_layers(deployed, read_layers(folder / variant)), test.pixels)
        size = sum(file.stat().st_size for file in (folder / variant).iterdir())
        scores = _scores(outputs["logits"], outputs["unfamiliarity"], reference, test.labels)
        rows.append({"variant": variant, "bytes": size} | scores)
    return pd.DataFrame(rows)


def logits_of(model: "keras.Model", pixels: Rows) -> np.ndarray:
    """Return (n, 7) float32 logits of a trained model for (n, S, S, 3) uint8 or float32 pixels."""
    return np.concatenate([np.asarray(model(batch, training=False)) for batch in _batches(pixels)])


def outputs_of(deployed: "keras.Model", pixels: Rows) -> dict[str, np.ndarray]:
    """Return the outputs of a deployed model by name, float32, for (n, S, S, 3) uint8 or float32 pixels."""
    outputs = [deployed(batch, training=False) for batch in _batches(pixels)]
    return {name: np.concatenate([np.asarray(output[name]) for output in outputs]) for name in outputs[0]}


def relative_difference(unfamiliarity: np.ndarray, reference: np.ndarray) -> float:
    """Return the largest difference of (n,) unfamiliarities as a share of the reference's."""
    return float((np.abs(unfamiliarity - reference) / reference).max())


def _batches(pixels: Rows) -> Iterator[np.ndarray]:
    for start in range(0, len(pixels), _BATCH):
        yield np.asarray(pixels[start : start + _BATCH], np.float32)


def _scores(
    logits: np.ndarray, unfamiliarity: np.ndarray, reference: Reference, labels: np.ndarray
) -> dict[str, float]:
    chosen, melanoma = logits.argmax(axis=1), CODES.index(MELANOMA)
    probabilities = softmax(logits)
    _, _, f1 = precision_recall_f1(confusion(chosen, labels))
    return {
        "accuracy": float(accuracy(probabilities, labels)),
        "macro_f1": float(macro(f1)),
        "melanoma_roc_auc": float(roc_auc(probabilities[:, melanoma], labels == melanoma)),
        "top1_agreement": float((chosen == reference.logits.argmax(axis=1)).mean()),
        "max_logit_difference": float(np.abs(logits - reference.logits).max()),
        "max_unfamiliarity_difference": relative_difference(unfamiliarity, reference.unfamiliarity),
    }
