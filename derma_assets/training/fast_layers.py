"""The same layers, computed faster: a stand-in for training, weight for weight.

Keras's batch normalization is a dozen passes over its input where TensorFlow has one fused operation, several times
faster forwards and backwards. A 1 x 1 convolution is a matrix product: as one, its gradient is computed several times
faster on a CPU, and processors with matrix units compute it from bfloat16 factors, summed in float32, four times faster
again. All else stays float32, as mixed precision asks for (Micikevicius et al., ICLR 2018). What is frozen needs no
normalization of its own.
"""

from typing import Any

import numpy as np

from derma_assets.tensorflow_runtime import import_keras, import_tensorflow
from derma_assets.training.hardware import Precision
from derma_assets.training.layer_graph import LayerGraph
from derma_assets.training.parts import part_at_hand
from derma_assets.training.synchronized_norm import synchronized_batch_norm


def pointwise_convolution(pictures: Any, kernel: Any, in_bfloat16: bool) -> Any:
    """Return the 1 x 1 convolution of (n, h, w, i) by a (1, 1, i, o) kernel, as one matrix product, float32.

    Args:
        pictures: (n, h, w, i) float32.
        kernel: (1, 1, i, o) float32.
        in_bfloat16: Round both factors to bfloat16, here and in the gradient.
    """
    tf = import_tensorflow()
    _, height, width, channels = pictures.shape
    rows, matrix = tf.reshape(pictures, [-1, channels]), tf.reshape(kernel, [channels, -1])
    if in_bfloat16:
        product = tf.cast(tf.matmul(tf.cast(rows, tf.bfloat16), tf.cast(matrix, tf.bfloat16)), tf.float32)
    else:
        product = tf.matmul(rows, matrix)
    return tf.reshape(product, [-1, height, width, kernel.shape[-1]])


def fast_twin(model: Any, batch_norm_momentum: float, precision: Precision) -> Any:
    """Return a model that computes the same, faster, and learns in its place; `bring_back` returns what it learned.

    In the frozen layers batch normalization is folded into the convolution before it. Outputs and gradients are the
    same up to rounding: float32's, or bfloat16's if `precision` asks for it.

    Args:
        model: A flat functional `keras.Model`; it is left as it is.
        batch_norm_momentum: Momentum of the batch normalizations that learn.
        precision: `float32`, `bfloat16_products` (1 x 1 convolutions on a CPU), or one of Keras's mixed policies
            (all layers but the last, on a GPU).

    Returns:
        `keras.Model` with the same names of layers.
    """
    keras: Any = import_keras()
    tf = import_tensorflow()
    in_bfloat16 = precision == "bfloat16_products"
    folded = _folded_pairs(model)
    normalized_before = {normalization.name for normalization in folded.values()}

    class Pointwise(keras.layers.Conv2D):  # type: ignore[name-defined]
        def call(self, inputs: Any) -> Any:
            return pointwise_convolution(inputs, tf.convert_to_tensor(self.kernel), in_bfloat16)

    class FrozenPointwise(keras.layers.Conv2D):  # type: ignore[name-defined]
        def call(self, inputs: Any) -> Any:
            # As one operation with its bias: without gradients nothing in between has to be kept.
            inputs, kernel, bias = (tf.cast(one, tf.bfloat16) for one in (inputs, self.kernel, self.bias))
            return tf.cast(tf.nn.bias_add(tf.nn.conv2d(inputs, kernel, 1, "VALID"), bias), tf.float32)

    class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[name-defined]
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            fused = tf.compat.v1.nn.fused_batch_norm
            scale, offset = tf.cast(self.gamma, tf.float32), tf.cast(self.beta, tf.float32)
            if not (training and self.trainable):
                mean, variance = tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(self.moving_variance)
                return fused(inputs, scale, offset, mean, variance, epsilon=self.epsilon, is_training=False)[0]
            replica = tf.distribute.get_replica_context()
            if replica is not None and replica.num_replicas_in_sync > 1:
                near = tf.stop_gradient(tf.convert_to_tensor(self.moving_mean))
                outputs, mean, variance = synchronized_batch_norm(inputs, scale, offset, near, self.epsilon)
            else:
                outputs, mean, variance = fused(inputs, scale, offset, epsilon=self.epsilon, is_training=True)
            for moving, seen in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + seen * (1.0 - self.momentum))
            return outputs

    class WholeBatchDropout(keras.layers.Dropout):  # type: ignore[name-defined]
        def call(self, inputs: Any, training: bool = False) -> Any:
            part = part_at_hand()
            if part is None or not training:
                return super().call(inputs, training=training)
            kept = super().call(tf.ones([part.count, *inputs.shape[1:]], inputs.dtype), training=True)
            return inputs * part.of(kept)

    class DoneBefore(keras.layers.Layer):  # type: ignore[name-defined]
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            return inputs

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if precision.startswith("mixed") and not isinstance(layer, keras.layers.InputLayer) and layer.name != "logits":
            config["dtype"] = precision
        kind = layer.__class__
        if layer.name in normalized_before:
            return DoneBefore(name=layer.name, dtype=config["dtype"])
        if type(layer) is keras.layers.BatchNormalization:
            kind = FusedBatchNormalization
            config["momentum"] = batch_norm_momentum
        elif type(layer) is keras.layers.Dropout:
            kind = WholeBatchDropout
        elif _is_pointwise(layer) and layer.name not in folded and not precision.startswith("mixed"):
            kind = Pointwise
        elif _is_pointwise(layer) and in_bfloat16:
            kind = FrozenPointwise
        if layer.name in folded:
            config["use_bias"] = True
        return kind.from_config(config)

    twin = keras.models.clone_model(model, clone_function=clone)
    for layer in model.layers:
        if layer.name in folded:
            twin.get_layer(layer.name).set_weights(_folded_weights(layer, folded[layer.name]))
        elif layer.weights and layer.name not in normalized_before:
            twin.get_layer(layer.name).set_weights(layer.get_weights())
    return twin


def bring_back(twin: Any, model: Any) -> None:
    """Give `model` the weights of the layers that its `fast_twin` has trained; the frozen ones are as they were."""
    for layer in model.layers:
        if layer.trainable and layer.weights:
            layer.set_weights(twin.get_layer(layer.name).get_weights())


def _is_pointwise(layer: Any) -> bool:
    keras: Any = import_keras()
    return (
        type(layer) is keras.layers.Conv2D
        and (layer.kernel_size, layer.strides) == ((1, 1), (1, 1))
        and not layer.use_bias
    )


def _folded_pairs(model: Any) -> dict[str, Any]:
    """Return, by name of the convolution, each frozen batch normalization that alone reads a frozen one."""
    keras: Any = import_keras()
    graph, pairs = LayerGraph(model), {}
    for layer in graph.layers:
        convolves = isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)) and not layer.use_bias
        readers = graph.readers_of(layer)
        normalized = len(readers) == 1 and type(readers[0]) is keras.layers.BatchNormalization
        if convolves and normalized and not layer.trainable and not readers[0].trainable:
            pairs[layer.name] = readers[0]
    return pairs


def _folded_weights(convolution: Any, normalization: Any) -> list[np.ndarray]:
    """Return kernel and bias of the convolution that does both (Jacob et al., CVPR 2018, section 3.2)."""
    (kernel,) = convolution.get_weights()
    scale, offset, mean, variance = normalization.get_weights()
    scale = scale / np.sqrt(variance + normalization.epsilon)
    depthwise = isinstance(convolution, import_keras().layers.DepthwiseConv2D)
    return [kernel * (scale[:, None] if depthwise else scale), offset - mean * scale]
