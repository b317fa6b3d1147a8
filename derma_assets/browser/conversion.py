"""TF.js graph models of the deployed model, in three sizes.

`float32` holds the weights as they are, `float16` rounds its kernels to 16 bits, and `uint8` its 1 x 1 convolutions,
which are nearly all there is, to 8 (`per_channel.py`). TF.js knows one scale per tensor only, so such a kernel is
stored as two constants and the node of its name multiplies them: `<kernel>/quantised` by `<kernel>/scale`. Any TF.js
runs that; the page multiplies them once, at load, and loses no time by it.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from derma_assets.browser.input_moments import input_moments
from derma_assets.browser.per_channel import PerChannel, round_per_channel
from derma_assets.browser.unfamiliarity import KERNEL_SCOPE
from derma_assets.storage.atomic import copy_folder
from derma_assets.tensorflow_runtime import import_tensorflow, import_tensorflowjs, without_native_noise

if TYPE_CHECKING:
    import keras

VARIANTS: tuple[str, ...] = ("float32", "float16", "uint8")
TOPOLOGY = "model.json"
QUANTISED, SCALE = "/quantised", "/scale"
# What a broken connection loses is at most one shard.
SHARD_BYTES = 256 * 1024

# Smaller kernels are a hundredth of the bytes, but the first of them decide how exact all that follows can be.
_WORTH_16_BITS = 4096
_WORTH_8_BITS = 32768
# Each byte of an 8-bit constant is the number plus this.
_ZERO = 128

_KERNEL = re.compile(rf"/(?P<layer>[^/]+)/(?:convolution|depthwise|{KERNEL_SCOPE})/ReadVariableOp$")
_FUSED_CONVOLUTION = "_FusedConv2D"


def kernel_layer(node: str) -> str | None:
    """Return the name of the Keras layer whose kernel a node of a converted model is, or None if it is none."""
    match = _KERNEL.search(node)
    return layer_of_scope(match["layer"]) if match else None


def layer_of_scope(scope: str) -> str:
    """Return the name of the Keras layer of a scope of a converted model: Keras counts, conv1 appears as conv1_1."""
    return re.sub(r"_\d+$", "", scope)


def bias_nodes(topology: Mapping[str, Any]) -> dict[str, str]:
    """Return the node of the bias of every fused convolution of a converted model, by the node of its kernel."""
    fused = (node for node in topology["modelTopology"]["node"] if node["op"] == _FUSED_CONVOLUTION)
    return {node["input"][1]: node["input"][2] for node in fused}


def export_variants(deployed: "keras.Model", folder: Path, pictures: np.ndarray) -> None:
    """Write TF.js graph models of a deployed model to `folder`/float32, /float16 and /uint8.

    Each holds `model.json` and its weights in shards of 256 KiB at most: input `picture`, outputs `logits`, `cams`
    and `unfamiliarity`. What is in `folder` is replaced. Equal models and pictures give equal bytes.

    Args:
        deployed: From `graph_model.deployed_model`.
        folder: Where to.
        pictures: (n, S, S, 3) uint8 training pictures, on which the rounding of `uint8` is chosen; some hundred.

    Raises:
        OSError: `folder` cannot be written, for example because the disk is full.
    """
    shutil.rmtree(folder, ignore_errors=True)
    # Converted elsewhere and copied: TensorFlow's own file layer does not say in an OSError why it cannot write.
    with tempfile.TemporaryDirectory() as scratch:
        converted = Path(scratch) / "converted"
        topology, weights = _converted(deployed, Path(scratch) / "float32")
        rounded = _rounded_kernels(deployed, topology, weights, pictures)
        _write_variant(converted / "float32", topology, weights, halved=set(), rounded={})
        worth_16_bits = {
            name for name, values in weights.items() if kernel_layer(name) and values.size >= _WORTH_16_BITS
        }
        _write_variant(converted / "float16", topology, weights, halved=worth_16_bits, rounded={})
        _write_variant(converted / "uint8", topology, weights, halved=worth_16_bits - rounded.keys(), rounded=rounded)
        copy_folder(converted, folder)


def _converted(deployed: "keras.Model", scratch: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what TF.js's converter makes of the model: `model.json`, and every constant by name."""
    import_tensorflow()
    tensorflowjs = import_tensorflowjs()
    exported, converted = scratch / "exported", scratch / "converted"
    with without_native_noise():
        deployed.export(exported, verbose=False)
        tensorflowjs.converters.convert_tf_saved_model(str(exported), str(converted), use_structured_outputs_names=True)
    topology = json.loads((converted / TOPOLOGY).read_text())
    entries = tensorflowjs.read_weights.read_weights(topology["weightsManifest"], str(converted), flatten=True)
    return topology, {entry["name"]: entry["data"] for entry in entries}


def _rounded_kernels(
    deployed: "keras.Model", topology: Mapping[str, Any], weights: Mapping[str, np.ndarray], pictures: np.ndarray
) -> dict[str, PerChannel]:
    """Return the 8-bit form of every kernel worth it, by its node."""
    layers = {
        kernel: str(kernel_layer(kernel))
        for kernel in bias_nodes(topology)
        if weights[kernel].shape[:2] == (1, 1)
        and weights[kernel].size >= _WORTH_8_BITS
        and kernel_layer(kernel)
        and deployed.get_layer(kernel_layer(kernel)).strides == (1, 1)
    }
    moments = input_moments(deployed, list(layers.values()), pictures)
    biases = bias_nodes(topology)
    return {
        kernel: round_per_channel(weights[kernel][0, 0], weights[biases[kernel]], moments[layer])
        for kernel, layer in layers.items()
    }


def _write_variant(
    folder: Path,
    topology: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    halved: set[str],
    rounded: Mapping[str, PerChannel],
) -> None:
    """Write one variant.

    Args:
        folder: Where to; made.
        topology: `model.json` as converted.
        weights: Every constant by name.
        halved: Constants to keep in 16 bits.
        rounded: Constants to keep in 8 bits.
    """
    folder.mkdir(parents=True)
    biases = bias_nodes(topology)
    weights = {**weights, **{biases[kernel]: per_channel.bias for kernel, per_channel in rounded.items()}}
    entries: list[dict[str, Any]] = []
    for name, values in weights.items():
        if name in rounded:
            per_channel = rounded[name]
            integers = (per_channel.integers + _ZERO).astype(np.uint8).reshape(values.shape)
            quantisation = {"min": -float(_ZERO), "scale": 1.0, "original_dtype": "float32"}
            entries.append({"name": name + QUANTISED, "data": integers, "quantization": quantisation})
            entries.append({"name": name + SCALE, "data": per_channel.scales})
        else:
            entries.append({"name": name, "data": values})
    manifest = import_tensorflowjs().write_weights.write_weights(
        [entries],
        str(folder),
        shard_size_bytes=SHARD_BYTES,
        write_manifest=False,
        quantization_dtype_map={"float16": sorted(halved)},
    )
    nodes = [
        replaced
        for node in topology["modelTopology"]["node"]
        for replaced in (_product(node, rounded[node["name"]]) if node["name"] in rounded else [node])
    ]
    document = {
        **topology,
        "modelTopology": {**topology["modelTopology"], "node": nodes},
        "weightsManifest": manifest,
    }
    # The converter's order of keys changes from run to run.
    (folder / TOPOLOGY).write_text(json.dumps(document, sort_keys=True, separators=(",", ":")))


def _product(constant: Mapping[str, Any], per_channel: PerChannel) -> list[dict[str, Any]]:
    """Return the nodes that stand for a constant kept in 8 bits: two constants, and their product under its name."""
    name = constant["name"]
    scale_shape = {"dim": [{"size": str(len(per_channel.scales))}]}
    scale = {"dtype": "DT_FLOAT", "tensorShape": scale_shape}
    return [
        {**constant, "name": name + QUANTISED},
        {"name": name + SCALE, "op": "Const", "attr": {"dtype": {"type": "DT_FLOAT"}, "value": {"tensor": scale}}},
        {"name": name, "op": "Mul", "input": [name + QUANTISED, name + SCALE], "attr": {"T": {"type": "DT_FLOAT"}}},
    ]
