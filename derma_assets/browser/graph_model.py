"""The model as it is deployed: batch normalisation folded, class activation maps as a second output.

Batch normalisation after a convolution is an affine map per channel, so it can be multiplied into the kernel
(Jacob et al., "Quantization and Training of Neural Networks", CVPR 2018, section 3.2). The TF.js converter does that
for ordinary convolutions only and leaves the depthwise ones; here all of them are folded before it sees the model.

Class activation maps (Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016) cost nothing:
the dense layer is applied at every position of the last feature map, before averaging instead of after.
"""

import itertools
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from derma_assets.errors import InputError
from derma_assets.storage.atomic import copy_folder
from derma_assets.tensorflow_runtime import import_keras, import_tensorflow, import_tensorflowjs, without_native_noise

if TYPE_CHECKING:
    import keras

# Only kernels are quantised: biases and constants are one part in a hundred of the bytes. The converter's uint8 has one
# scale per tensor, and a depthwise kernel's channels differ by orders of magnitude after folding, so it stays float16.
_CONVOLUTION_KERNELS = "*/convolution/*"
_DEPTHWISE_KERNELS = "*/depthwise/*"
_QUANTISED: dict[str, dict[str, list[str]] | None] = {
    "float32": None,
    "float16": {"float16": [_CONVOLUTION_KERNELS, _DEPTHWISE_KERNELS]},
    "uint8": {"uint8": [_CONVOLUTION_KERNELS], "float16": [_DEPTHWISE_KERNELS]},
}
VARIANTS: tuple[str, ...] = tuple(_QUANTISED)


def fold_batch_normalisation(model: "keras.Model") -> "keras.Model":
    """Return the deployable twin of a trained model.

    Args:
        model: A chain of layers: (n, S, S, 3) float32 RGB 0..255 to (n, c) logits, ending in
            GlobalAveragePooling2D, (Dropout) and Dense; every BatchNormalization follows a Conv2D or
            DepthwiseConv2D directly.

    Returns:
        A model with the same input and two outputs by name: `cams`, (n, h, w, c), the dense layer with its bias at
        each position of the last feature map, and `logits`, (n, c), the mean of `cams` over h and w. Dropout
        is gone. The logits equal those of `model` but for rounding.

    Raises:
        InputError: the layers are not such a chain.
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
    weights: dict[str, list[np.ndarray]] = {}
    for position, layer in enumerate(body):
        if isinstance(layer, keras.layers.BatchNormalization):
            if position == 0 or not _is_convolution(body[position - 1]):
                raise InputError(f"cannot fold {layer.name}: it does not follow a convolution.")
            continue
        configuration = layer.get_config()
        following: Any = body[position + 1] if position + 1 < len(body) else None
        if isinstance(following, keras.layers.BatchNormalization) and _is_convolution(layer):
            if configuration["activation"] != "linear":
                raise InputError(f"cannot fold {following.name}: {layer.name} has an activation in between.")
            configuration["use_bias"] = True
            weights[layer.name] = _folded_weights(layer, following)
        elif layer.get_weights():
            weights[layer.name] = layer.get_weights()
        features = type(layer).from_config(configuration)(features)
    cams = keras.layers.Conv2D(dense.units, 1, name="cams")(features)
    logits = keras.layers.GlobalAveragePooling2D(name="logits")(cams)
    folded = keras.Model(inputs, {"logits": logits, "cams": cams}, name="deployed")
    kernel, bias = dense.get_weights()
    weights["cams"] = [kernel[np.newaxis, np.newaxis], bias]
    for name, values in weights.items():
        folded.get_layer(name).set_weights(values)
    return folded


def _is_convolution(layer: Any) -> bool:
    layers = import_keras().layers
    return isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D)


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


def export_variants(folded: "keras.Model", folder: Path) -> None:
    """Write TF.js graph models of a folded model to `folder`/float32, /float16 and /uint8.

    Each holds `model.json` and its weights in shards of 4 MB at most: input `picture`, outputs `logits` and `cams`.
    What is in `folder` is replaced. Equal models give equal bytes.

    Raises:
        OSError: `folder` cannot be written, for example because the disk is full.
    """
    import_tensorflow()
    convert = import_tensorflowjs().converters.convert_tf_saved_model
    shutil.rmtree(folder, ignore_errors=True)
    # Converted elsewhere and copied: TensorFlow's own file layer does not say in an OSError why it cannot write.
    with tempfile.TemporaryDirectory() as scratch:
        exported, converted = Path(scratch) / "exported", Path(scratch) / "converted"
        with without_native_noise():
            folded.export(exported, verbose=False)
            for variant, quantised in _QUANTISED.items():
                convert(
                    str(exported),
                    str(converted / variant),
                    quantization_dtype_map=quantised,
                    use_structured_outputs_names=True,
                )
                _sort_keys(converted / variant / "model.json")
        copy_folder(converted, folder)


def _sort_keys(document: Path) -> None:
    """Rewrite a JSON document with sorted keys: the converter's order changes from run to run."""
    document.write_text(json.dumps(json.loads(document.read_text()), sort_keys=True, separators=(",", ":")))
