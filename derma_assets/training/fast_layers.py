"""The same layers with faster gradients on a CPU: a stand-in for training, weight for weight.

TensorFlow's CPU gradients of 1 x 1 convolutions and of depthwise convolutions are slow. A 1 x 1 convolution is a
matrix product, and the gradient of a depthwise convolution is nine shifted products and one more depthwise
convolution, which the CPU runs fast. Both are exact.
"""

from typing import Any

from derma_assets.tensorflow_runtime import import_keras, import_tensorflow


def pointwise_convolution(pictures: Any, kernel: Any) -> Any:
    """Return the 1 x 1 convolution of (n, h, w, i) by a (1, 1, i, o) kernel, as one matrix product."""
    tf = import_tensorflow()
    _, height, width, channels = pictures.shape
    product = tf.matmul(tf.reshape(pictures, [-1, channels]), tf.reshape(kernel, [channels, -1]))
    return tf.reshape(product, [-1, height, width, kernel.shape[-1]])


def depthwise_convolution(pictures: Any, kernel: Any) -> Any:
    """Return the 3 x 3 depthwise convolution, stride 1, padding `same`, with a gradient that is fast on a CPU.

    Args:
        pictures: (n, h, w, c) float32.
        kernel: (3, 3, c, 1) float32.
    """
    tf = import_tensorflow()

    @tf.custom_gradient
    def convolve(x: Any, k: Any) -> Any:
        height, width = x.shape[1:3]

        def gradient(dy: Any) -> tuple[Any, Any]:
            dx = tf.nn.depthwise_conv2d(dy, k[::-1, ::-1], [1, 1, 1, 1], "SAME")
            padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
            taps = [
                tf.reduce_sum(padded[:, row : row + height, column : column + width] * dy, [0, 1, 2])
                for row in range(3)
                for column in range(3)
            ]
            return dx, tf.reshape(tf.stack(taps), k.shape)

        return tf.nn.depthwise_conv2d(x, k, [1, 1, 1, 1], "SAME"), gradient

    return convolve(pictures, tf.convert_to_tensor(kernel))


def fast_twin(model: Any, batch_norm_momentum: float) -> Any:
    """Return a model with the same weights and outputs whose trainable convolutions have fast CPU gradients.

    Args:
        model: A flat functional `keras.Model`; it is left as it is.
        batch_norm_momentum: Momentum of the trainable batch normalizations of the twin.

    Returns:
        `keras.Model`. `model.set_weights(twin.get_weights())` brings what it learned back.
    """
    keras: Any = import_keras()

    class Pointwise(keras.layers.Conv2D):  # type: ignore[name-defined]
        def call(self, inputs: Any) -> Any:
            return pointwise_convolution(inputs, self.kernel)

    class Depthwise(keras.layers.DepthwiseConv2D):  # type: ignore[name-defined]
        def call(self, inputs: Any) -> Any:
            return depthwise_convolution(inputs, self.kernel)

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if not layer.trainable or isinstance(layer, keras.layers.InputLayer):
            return layer.__class__.from_config(config)
        if (
            type(layer) is keras.layers.Conv2D
            and (layer.kernel_size, layer.strides) == ((1, 1), (1, 1))
            and not layer.use_bias
        ):
            return Pointwise.from_config(config)
        if (
            type(layer) is keras.layers.DepthwiseConv2D
            and (layer.kernel_size, layer.strides, layer.padding) == ((3, 3), (1, 1), "same")
            and not layer.use_bias
        ):
            return Depthwise.from_config(config)
        if type(layer) is keras.layers.BatchNormalization:
            config["momentum"] = batch_norm_momentum
        return layer.__class__.from_config(config)

    twin = keras.models.clone_model(model, clone_function=clone)
    twin.set_weights(model.get_weights())
    return twin
