"""The deployed model in the formats of other runtimes: TensorFlow Lite's, and ONNX.

Same weights, same input (1, S, S, 3) float32 RGB 0..255, but the logits only: what the page runs computes class
activation maps and unfamiliarity besides.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from derma_assets.errors import InputError
from derma_assets.tensorflow_runtime import import_keras, import_tensorflow, without_native_noise
from derma_assets.training.layer_graph import LayerGraph, Remade

if TYPE_CHECKING:
    import keras
    import onnx

_OPSET = 17


def logits_model(deployed: "keras.Model") -> "keras.Model":
    """Return the part of a deployed model (`graph_model.deployed_model`) that computes the logits."""
    return import_keras().Model(deployed.input, deployed.output["logits"])


def write_tflite(model: "keras.Model", path: Path) -> None:
    """Write a model from `logits_model` as a TensorFlow Lite file of float32 weights, for one picture at a time."""
    tensorflow = import_tensorflow()
    picture = tensorflow.TensorSpec((1, *model.input_shape[1:]), tensorflow.float32, "picture")
    with tempfile.TemporaryDirectory() as exported, without_native_noise():
        model.export(exported, verbose=False, input_signature=[picture])
        path.write_bytes(tensorflow.lite.TFLiteConverter.from_saved_model(exported).convert())


def write_onnx(model: "keras.Model", path: Path) -> None:
    """Write a model from `logits_model` as an ONNX file of float32 weights, from `picture` to `logits`.

    Raises:
        InputError: it has a layer of a kind that no backbone has.
    """
    path.write_bytes(onnx_model(model).SerializeToString())


def onnx_model(model: "keras.Model") -> "onnx.ModelProto":
    """Return what `write_onnx` writes."""
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes: list[Any] = []
    constants: list[Any] = []

    def constant(name: str, values: Any) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def node(kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    side, classes = model.input_shape[1], model.output_shape[1]
    # ONNX keeps channels before rows.
    given = node("Transpose", ["picture"], "channels_first", perm=[0, 3, 1, 2])
    remade = Remade(model.inputs[0], given)
    for layer in LayerGraph(model).layers:
        name, kind, current = layer.name, type(layer).__name__, remade.given_to(layer)
        if kind == "Rescaling":
            scale = constant(f"{name}/scale", np.float32(layer.scale))
            scaled = node("Mul", [current, scale], f"{name}/scaled")
            current = node("Add", [scaled, constant(f"{name}/offset", np.float32(layer.offset))], name)
        elif kind == "ZeroPadding2D":
            (top, bottom), (left, right) = layer.padding
            pads = constant(f"{name}/pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
            current = node("Pad", [current, pads], name)
        elif kind in ("Conv2D", "DepthwiseConv2D"):
            kernel, bias = layer.get_weights()
            # From (h, w, in, out), or (h, w, channels, 1) of a depthwise one, to (out, in, h, w).
            depthwise = kind == "DepthwiseConv2D"
            kernel = kernel.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
            weights = [constant(f"{name}/kernel", kernel), constant(f"{name}/bias", bias)]
            current = node(
                "Conv",
                [current, *weights],
                name,
                group=len(kernel) if depthwise else 1,
                strides=list(layer.strides),
                pads=_pads(layer),
            )
        elif kind == "ReLU":
            low, high = constant(f"{name}/low", np.float32(0)), constant(f"{name}/high", np.float32(layer.max_value))
            current = node("Clip", [current, low, high], name)
        elif kind == "GlobalAveragePooling2D":
            pooled = node("GlobalAveragePool", [current], f"{name}/pooled")
            current = node("Flatten", [pooled], name)
        elif kind == "Add":
            current = node("Sum", current, name)
        else:
            raise InputError(f"there is no way to write the layer {name} ({kind}) as ONNX.")
        remade.put(layer, current)
    nodes[-1].output[0] = "logits"
    graph = helper.make_graph(
        nodes,
        "deployed",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, side, side, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, classes])],
        constants,
    )
    written = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    written.ir_version = 8
    checker.check_model(written, full_check=True)
    return written


def _pads(layer: Any) -> list[int]:
    """Return the rows above, columns left, rows below and columns right that a convolution adds, as TensorFlow does."""
    sides = []
    for length, kernel, stride in zip(layer.input.shape[1:3], layer.kernel_size, layer.strides, strict=True):
        wanted = (-(-length // stride) - 1) * stride + kernel
        missing = max(wanted - length, 0) if layer.padding == "same" else 0
        sides.append((missing // 2, missing - missing // 2))
    (top, bottom), (left, right) = sides
    return [top, left, bottom, right]
