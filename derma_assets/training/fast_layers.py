"""The same layers, computed faster: a stand-in for training, weight for weight.

Keras's batch normalization is a dozen passes over its input where TensorFlow has one fused operation, several times
faster forwards and backwards. A 1 x 1 convolution is a matrix product; processors with matrix units compute it
from bfloat16 factors, summed in float32, four times as fast. All else stays float32, as mixed precision asks for
(Micikevicius et al., ICLR 2018).
"""

from typing import Any

from derma_assets.tensorflow_runtime import import_keras, import_tensorflow
from derma_assets.training.hardware import Precision


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
    """Return a model with the same weights whose layers are computed faster.

    Outputs and gradients are the same up to rounding: float32's, or bfloat16's if `precision` asks for it.

    Args:
        model: A flat functional `keras.Model`; it is left as it is.
        batch_norm_momentum: Momentum of the batch normalizations that learn.
        precision: `float32`, `bfloat16_products` (1 x 1 convolutions on a CPU), or one of Keras's mixed policies
            (all layers but the last, on a GPU).

    Returns:
        `keras.Model`. `model.set_weights(twin.get_weights())` brings what it learned back.
    """
    keras: Any = import_keras()
    tf = import_tensorflow()
    in_bfloat16 = precision == "bfloat16_products"

    class Pointwise(keras.layers.Conv2D):  # type: ignore[name-defined]
        def call(self, inputs: Any) -> Any:
            return pointwise_convolution(inputs, tf.convert_to_tensor(self.kernel), in_bfloat16)

    class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[name-defined]
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            fused = tf.compat.v1.nn.fused_batch_norm
            scale, offset = tf.cast(self.gamma, tf.float32), tf.cast(self.beta, tf.float32)
            if not (training and self.trainable):
                mean, variance = tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(self.moving_variance)
                return fused(inputs, scale, offset, mean, variance, epsilon=self.epsilon, is_training=False)[0]
            outputs, mean, variance = fused(inputs, scale, offset, epsilon=self.epsilon, is_training=True)
            for moving, seen in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + seen * (1.0 - self.momentum))
            return outputs

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if precision.startswith("mixed") and not isinstance(layer, keras.layers.InputLayer) and layer.name != "logits":
            config["dtype"] = precision
        kind = layer.__class__
        if type(layer) is keras.layers.BatchNormalization:
            kind = FusedBatchNormalization
            config["momentum"] = batch_norm_momentum
        elif (
            in_bfloat16
            and type(layer) is keras.layers.Conv2D
            and (layer.kernel_size, layer.strides) == ((1, 1), (1, 1))
            and not layer.use_bias
        ):
            kind = Pointwise
        return kind.from_config(config)

    twin = keras.models.clone_model(model, clone_function=clone)
    twin.set_weights(model.get_weights())
    return twin
