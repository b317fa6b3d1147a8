"""The model as it is deployed: batch normalisation folded, class activation maps and unfamiliarity as more outputs.

Batch normalisation after a convolution is an affine map per channel, so it can be multiplied into the kernel
(Jacob et al., "Quantization and Training of Neural Networks", CVPR 2018, section 3.2). The TF.js converter does that
for ordinary convolutions only and leaves the depthwise ones; here all of them are folded before it sees the model.
Padding before a strided convolution is left to the convolution.

Class activation maps (Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016) cost nothing:
the dense layer is applied at every position of the last feature map, before averaging instead of after.
"""

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from derma_assets.browser.unfamiliarity import unfamiliarity_layer
from derma_assets.calibration.familiarity import FamiliarityModel
from derma_assets.errors import InputError
from derma_assets.tensorflow_runtime import import_keras

if TYPE_CHECKING:
    import keras


def deployed_model(model: "keras.Model", familiarity: FamiliarityModel) -> "keras.Model":
    """Return the deployable twin of a trained model.

    Args:
        model: A chain of layers: (n, S, S, 3) float32 RGB 0..255 to (n, c) logits, ending in
            GlobalAveragePooling2D, (Dropout) and Dense; every BatchNormalization follows a Conv2D or
            DepthwiseConv2D directly.
        familiarity: Fitted to the pooled output of a layer of `model`.

    Returns:
        A model with the same input and three outputs by name: `cams`, (n, h, w, c), the dense layer with its bias at
        each position of the last feature map; `logits`, (n, c), the mean of `cams` over h and w; and `unfamiliarity`,
        (n,). Dropout is gone. The logits equal those of `model` but for rounding.

    Raises:
        InputError: the layers are not such a chain, or that of `familiarity` is not among those that are left.
    """
    keras = import_keras()
    layers = _chain(model)
    kept = [layer for layer in layers if not isinstance(layer, keras.layers.Dropout)]
    body, pooling, dense = kept[:-2], *kept[-2:]
    if not isinstance(pooling, keras.layers.GlobalAveragePooling2D) or not isinstance(dense, keras.layers.Dense):
        raise InputError(
            "the model to deploy must end in GlobalAveragePooling2D, Dropout and Dense, "
            f"but ends in {', '.join(type(layer).__name__ for layer in layers[-3:])}."
        )
    inputs = keras.Input(model.input_shape[1:], name="picture")
    features: Any = inputs
    unfamiliarity: Any = None
    same: set[str] = set()
    weights: dict[str, list[np.ndarray]] = {}
    for position, layer in enumerate(body):
        if isinstance(layer, keras.layers.BatchNormalization):
            if position == 0 or not _is_convolution(body[position - 1]):
                raise InputError(f"cannot fold {layer.name}: it does not follow a convolution.")
            continue
        if _pads_as_same(layer, body[position + 1 : position + 2]):
            same.add(body[position + 1].name)
            continue
        configuration = layer.get_config()
        if layer.name in same:
            configuration["padding"] = "same"
        following: Any = body[position + 1] if position + 1 < len(body) else None
        if isinstance(following, keras.layers.BatchNormalization) and _is_convolution(layer):
            if configuration["activation"] != "linear":
                raise InputError(f"cannot fold {following.name}: {layer.name} has an activation in between.")
            configuration["use_bias"] = True
            weights[layer.name] = _folded_weights(layer, following)
        elif layer.get_weights():
            weights[layer.name] = layer.get_weights()
        features = type(layer).from_config(configuration)(features)
        # What a folded convolution gives is no longer what it gave.
        if layer.name == familiarity.layer and not isinstance(following, keras.layers.BatchNormalization):
            pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(features)
            unfamiliarity = unfamiliarity_layer(familiarity)(pooled)
    if unfamiliarity is None:
        raise InputError(f"the model to deploy has no layer {familiarity.layer} to tell unfamiliar pictures by.")
    cams = keras.layers.Conv2D(dense.units, 1, name="cams")(features)
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
    if not isinstance(layer, layers.ZeroPadding2D) or not following or not _is_convolution(following[0]):
        return False
    (convolution,) = following
    _, height, width, _ = layer.input.shape
    return (
        layer.padding == ((0, 1), (0, 1))
        and (convolution.padding, convolution.kernel_size, convolution.strides) == ("valid", (3, 3), (2, 2))
        and height % 2 == 0
        and width % 2 == 0
    )


def _chain(model: "keras.Model") -> list[Any]:
    """Return the model's layers without the input, after making sure that each feeds the next and nothing else."""
    layers = [layer for layer in model.layers if type(layer).__name__ != "InputLayer"]
    for before, after in itertools.pairwise(layers):
        if after.input is not before.output:
            raise InputError(f"the model to deploy is not a chain: {after.name} does not follow {before.name}.")
    return layers


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
