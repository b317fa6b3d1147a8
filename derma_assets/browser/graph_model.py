"""The model as it is deployed: batch normalisation folded, class activation maps and unfamiliarity as more outputs.

Batch normalisation after a convolution is an affine map per channel, so it can be multiplied into the kernel
(Jacob et al., "Quantization and Training of Neural Networks", CVPR 2018, section 3.2). The TF.js converter does that
for ordinary convolutions only and leaves the depthwise ones; here all of them are folded before it sees the model.
Padding before a strided convolution is left to the convolution.

Class activation maps (Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016) cost nothing:
the dense layer is applied at every position of the last feature map, before averaging instead of after.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from derma_assets.browser.unfamiliarity import unfamiliarity_layer
from derma_assets.calibration.familiarity import FamiliarityModel
from derma_assets.errors import InputError
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training.layer_graph import LayerGraph, Remade

if TYPE_CHECKING:
    import keras


def deployed_model(model: "keras.Model", familiarity: FamiliarityModel) -> "keras.Model":
    """Return the deployable twin of a trained model.

    Args:
        model: A functional model from (n, S, S, 3) float32 RGB 0..255 to (n, c) logits, ending in
            GlobalAveragePooling2D, (Dropout) and Dense; every BatchNormalization follows a Conv2D or
            DepthwiseConv2D directly, which nothing else reads.
        familiarity: Fitted to the pooled output of a layer of `model`.

    Returns:
        A model with the same input and three outputs by name: `cams`, (n, h, w, c), the dense layer with its bias at
        each position of the last feature map; `logits`, (n, c), the mean of `cams` over h and w; and `unfamiliarity`,
        (n,). Dropout is gone. The logits equal those of `model` but for rounding.

    Raises:
        InputError: it is no such model, or the layer of `familiarity` is not among those that are left.
    """
    keras = import_keras()
    graph = LayerGraph(model)
    body, pooling, dense = _parts(graph)
    inputs = keras.Input(model.input_shape[1:], name="picture")
    remade = Remade(model.inputs[0], inputs)
    unfamiliarity: Any = None
    same: set[str] = set()
    weights: dict[str, list[np.ndarray]] = {}
    for layer in body:
        given, readers = remade.given_to(layer), graph.readers_of(layer)
        if isinstance(layer, keras.layers.Dropout):
            remade.put(layer, given)
            continue
        if isinstance(layer, keras.layers.BatchNormalization):
            if not any(_is_convolution(maker) for maker in graph.makers_of(layer)):
                raise InputError(f"cannot fold {layer.name}: it does not follow a convolution.")
            remade.put(layer, given)  # the convolution has done both
            continue
        if _pads_as_same(layer, readers):
            same.add(readers[0].name)
            remade.put(layer, given)
            continue
        configuration = layer.get_config()
        if layer.name in same:
            configuration["padding"] = "same"
        normalised = [reader for reader in readers if isinstance(reader, keras.layers.BatchNormalization)]
        if normalised and _is_convolution(layer):
            if len(readers) > 1:
                raise InputError(f"cannot fold {normalised[0].name}: more layers read {layer.name}.")
            if configuration["activation"] != "linear":
                raise InputError(f"cannot fold {normalised[0].name}: {layer.name} has an activation in between.")
            configuration["use_bias"] = True
            weights[layer.name] = _folded_weights(layer, normalised[0])
        elif layer.get_weights():
            weights[layer.name] = layer.get_weights()
        features = type(layer).from_config(configuration)(given)
        remade.put(layer, features)
        # What a folded convolution gives is no longer what it gave.
        if layer.name == familiarity.layer and not normalised:
            pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(features)
            unfamiliarity = unfamiliarity_layer(familiarity)(pooled)
    if unfamiliarity is None:
        raise InputError(f"the model to deploy has no layer {familiarity.layer} to tell unfamiliar pictures by.")
    cams = keras.layers.Conv2D(dense.units, 1, name="cams")(remade.given_to(pooling))
    logits = keras.layers.GlobalAveragePooling2D(name="logits")(cams)
    outputs = {"logits": logits, "cams": cams, "unfamiliarity": unfamiliarity}
    deployed = keras.Model(inputs, outputs, name="deployed")
    kernel, bias = dense.get_weights()
    weights["cams"] = [kernel[np.newaxis, np.newaxis], bias]
    for name, values in weights.items():
        deployed.get_layer(name).set_weights(values)
    return deployed


def _is_convolution(layer: Any) -> bool:
    layers = import_keras().layers
    return isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D)


def _pads_as_same(layer: Any, following: list[Any]) -> bool:
    """Return whether a layer pads exactly what a convolution after it, padding "same", would: that is faster."""
    layers = import_keras().layers
    if not isinstance(layer, layers.ZeroPadding2D) or len(following) != 1 or not _is_convolution(following[0]):
        return False
    (convolution,) = following
    _, height, width, _ = layer.input.shape
    return (
        layer.padding == ((0, 1), (0, 1))
        and (convolution.padding, convolution.kernel_size, convolution.strides) == ("valid", (3, 3), (2, 2))
        and height % 2 == 0
        and width % 2 == 0
    )


def _parts(graph: LayerGraph) -> tuple[list[Any], Any, Any]:
    """Return the convolutional layers, the pooling after them and the dense layer at the end."""
    keras = import_keras()
    *_, pooling, dense = [layer for layer in graph.layers if not isinstance(layer, keras.layers.Dropout)]
    if not isinstance(pooling, keras.layers.GlobalAveragePooling2D) or not isinstance(dense, keras.layers.Dense):
        raise InputError(
            "the model to deploy must end in GlobalAveragePooling2D, Dropout and Dense, "
            f"but ends in {', '.join(type(layer).__name__ for layer in graph.layers[-3:])}."
        )
    return graph.layers[: graph.layers.index(pooling)], pooling, dense


def _folded_weights(convolution: Any, normalisation: Any) -> list[np.ndarray]:
    """Return kernel and bias that do what the convolution and the normalisation after it did."""
    keras = import_keras()
    kernel, *rest = (values.astype(np.float64) for values in convolution.get_weights())
    bias = rest[0] if rest else 0.0
    mean = normalisation.moving_mean.numpy().astype(np.float64)
    variance = normalisation.moving_variance.numpy().astype(np.float64)
    scale = 1.0 / np.sqrt(variance + normalisation.epsilon)
    if normalisation.scale:
        scale = scale * normalisation.gamma.numpy().astype(np.float64)
    offset = normalisation.beta.numpy().astype(np.float64) if normalisation.center else 0.0
    # A depthwise kernel is (h, w, channels, multiplier), an ordinary one (h, w, in, out).
    depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
    per_channel = scale.reshape(kernel.shape[2:]) if depthwise else scale
    return [(kernel * per_channel).astype(np.float32), ((bias - mean) * scale + offset).astype(np.float32)]
