"""Batch normalization over the batches of all replicas, as if they were one batch on one device.

Each replica sums its own part and the sums are added up: once forwards, once backwards. What is left is done by
TensorFlow's fused operation. Keras's `synchronized=True` computes the same with a dozen passes over the input and
three exchanges, so training would lose more than it gains.
"""

from typing import Any

from derma_assets.tensorflow_runtime import import_tensorflow


def synchronized_batch_norm(inputs: Any, scale: Any, offset: Any, near: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """Return the normalized inputs, and mean and variance of the whole batch. To be called in a replica.

    Args:
        inputs: (b, h, w, k): this replica's part of the batch; b may be 0.
        scale: (k,) float32.
        offset: (k,) float32.
        near: (k,) float32: about where the mean is, the same in all replicas. Sums of squares of what is far from 0
            lose digits; those of what is about 0 do not.
        epsilon: Added to the variance.

    Returns:
        (b, h, w, k) of the type of the inputs; (k,) float32 mean and (k,) float32 unbiased variance, which are no way
        for gradients.
    """
    tf = import_tensorflow()
    context = tf.distribute.get_replica_context()

    def over_all(*sums: Any) -> list[Any]:
        """Return the (k,) sums, added up over the replicas, in one exchange."""
        return tf.unstack(context.all_reduce(tf.distribute.ReduceOp.SUM, tf.stack(sums)))

    moved = tf.cast(inputs, tf.float32) - near
    pictures, height, width, channels = tf.unstack(tf.shape(inputs))
    here = tf.fill([channels], tf.cast(pictures * height * width, tf.float32))
    total, squares, count = over_all(tf.reduce_sum(moved, [0, 1, 2]), tf.reduce_sum(moved * moved, [0, 1, 2]), here)
    mean_moved = total / count
    mean, variance = near + mean_moved, tf.maximum(squares / count - mean_moved * mean_moved, 0.0)

    @tf.custom_gradient
    def normalize(inputs: Any, scale: Any, offset: Any) -> Any:
        normalized = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=scale, offset=offset, mean=mean, variance=variance, epsilon=epsilon, is_training=False
        ).y

        def gradient(upstream: Any) -> tuple[Any, Any, Any]:
            fixed, of_scale, of_offset, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=upstream,
                x=inputs,
                scale=scale,
                reserve_space_1=mean,
                reserve_space_2=variance,
                reserve_space_3=tf.zeros([], tf.float32),
                epsilon=epsilon,
                is_training=False,
            )
            # Mean and variance depend on every input of the batch (Ioffe, Szegedy, ICML 2015, section 3).
            all_scale, all_offset = over_all(of_scale, of_offset)
            steepness = scale * tf.math.rsqrt(variance + epsilon)
            by_input = -steepness * tf.math.rsqrt(variance + epsilon) * all_scale / count
            constant = -steepness * all_offset / count - by_input * mean
            return fixed + tf.cast(tf.cast(inputs, tf.float32) * by_input + constant, inputs.dtype), of_scale, of_offset

        return normalized, gradient

    unbiased = variance * count / tf.maximum(count - 1.0, 1.0)
    return normalize(inputs, scale, offset), tf.stop_gradient(mean), tf.stop_gradient(unbiased)
