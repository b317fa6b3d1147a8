"""What each variant of the deployed model weighs, and what it loses on test pictures.

The weights are read back from the files that a browser would load and dequantised as TF.js does, so what is
measured is the variant itself; only the arithmetic is TensorFlow's.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from derma_assets.browser.graph_model import VARIANTS
from derma_assets.calibration.temperature import softmax
from derma_assets.diagnoses import CODES, MELANOMA
from derma_assets.errors import InputError
from derma_assets.evaluation.metrics import accuracy, confusion, macro, precision_recall_f1, roc_auc
from derma_assets.tensorflow_runtime import import_keras, import_tensorflowjs

if TYPE_CHECKING:
    import keras

_KERNEL = re.compile(r"/(?P<layer>[^/]+)/(?:convolution|depthwise)/ReadVariableOp$")
_BATCH = 64


@dataclass(frozen=True)
class Pictures:
    """Pictures with their diagnoses.

    Attributes:
        pixels: (n, S, S, 3) uint8 or float32 RGB 0..255.
        labels: (n,) int, positions in `CODES`.
    """

    pixels: np.ndarray
    labels: np.ndarray


def read_kernels(variant: Path) -> dict[str, np.ndarray]:
    """Return the float32 kernels of a TF.js graph model by layer name, dequantised as the browser does it.

    Raises:
        InputError: a weight that is no kernel was quantised, so kernels alone would not describe the variant.
    """
    manifest = json.loads((variant / "model.json").read_text())["weightsManifest"]
    quantised = {w["name"] for group in manifest for w in group["weights"] if "quantization" in w}
    kernels: dict[str, np.ndarray] = {}
    for entry in import_tensorflowjs().read_weights.read_weights(manifest, str(variant), flatten=True):
        match = _KERNEL.search(entry["name"])
        if match:
            # Keras counts scopes: the layer conv1 appears as conv1_1.
            kernels[re.sub(r"_\d+$", "", match["layer"])] = np.asarray(entry["data"], np.float32)
        elif entry["name"] in quantised:
            raise InputError(f"{variant}: {entry['name']} is quantised, but is no kernel that can be measured.")
    return kernels


def with_kernels(folded: "keras.Model", kernels: dict[str, np.ndarray]) -> "keras.Model":
    """Return a copy of the folded model with other kernels; biases stay.

    Args:
        folded: From `graph_model.fold_batch_normalisation`.
        kernels: One kernel for each layer that has one, by layer name.

    Raises:
        InputError: names or shapes do not fit.
    """
    keras = import_keras()
    copy = keras.models.clone_model(folded)
    left = dict(kernels)
    for layer in folded.layers:
        weights = layer.get_weights()
        if not weights:
            continue
        kernel = left.pop(layer.name, None)
        if kernel is None or kernel.shape != weights[0].shape:
            raise InputError(f"the converted model has no kernel of shape {weights[0].shape} for {layer.name}.")
        copy.get_layer(layer.name).set_weights([kernel, *weights[1:]])
    if left:
        raise InputError(f"the converted model has kernels that the model has not: {', '.join(left)}.")
    return copy


def compare_variants(model: "keras.Model", folded: "keras.Model", folder: Path, test: Pictures) -> pd.DataFrame:
    """Return one row per variant: its size and what it loses on test against the trained model.

    Args:
        model: The trained model.
        folded: The same, folded.
        folder: Folder that `graph_model.export_variants` wrote.
        test: Pictures to compare on.

    Returns:
        Columns `variant` (the first row, `keras`, is the trained model), `bytes`, `accuracy`, `macro_f1`,
        `melanoma_roc_auc`, `top1_agreement` (share of pictures with the same first diagnosis as the trained
        model) and `max_logit_difference`.
    """
    reference = logits_of(model, test.pixels)
    rows = [{"variant": "keras", "bytes": int(model.count_params()) * 4, **_scores(reference, reference, test.labels)}]
    for variant in VARIANTS:
        logits = logits_of(with_kernels(folded, read_kernels(folder / variant)), test.pixels)
        size = sum(file.stat().st_size for file in (folder / variant).iterdir())
        rows.append({"variant": variant, "bytes": size, **_scores(logits, reference, test.labels)})
    return pd.DataFrame(rows)


def logits_of(model: "keras.Model", pixels: np.ndarray) -> np.ndarray:
    """Return (n, 7) float32 logits of a trained or a folded model for (n, S, S, 3) uint8 or float32 pixels."""
    logits = []
    for start in range(0, len(pixels), _BATCH):
        outputs = model(np.asarray(pixels[start : start + _BATCH], np.float32), training=False)
        logits.append(np.asarray(outputs["logits"] if isinstance(outputs, dict) else outputs))
    return np.concatenate(logits)


def _scores(logits: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    chosen, melanoma = logits.argmax(axis=1), CODES.index(MELANOMA)
    probabilities = softmax(logits)
    _, _, f1 = precision_recall_f1(confusion(chosen, labels))
    return {
        "accuracy": float(accuracy(probabilities, labels)),
        "macro_f1": float(macro(f1)),
        "melanoma_roc_auc": float(roc_auc(probabilities[:, melanoma], labels == melanoma)),
        "top1_agreement": float((chosen == reference.argmax(axis=1)).mean()),
        "max_logit_difference": float(np.abs(logits - reference).max()),
    }
