"""How unlike the training pictures a picture is, as a layer of the deployed model."""

from typing import Any

import numpy as np

from derma_assets.calibration.familiarity import FamiliarityModel
from derma_assets.tensorflow_runtime import import_keras, import_tensorflow

# Part of the name of the layer's kernel in the converted model.
KERNEL_SCOPE = "directions"


def unfamiliarity_layer(familiarity: FamiliarityModel) -> Any:
    """Return a Keras layer from (n, f) float32 pooled features to (n,) `FamiliarityModel.unfamiliarity`.

    The two sums that the definition subtracts are nearly equal, and 32-bit floats would lose the difference. Here the
    centred features are whitened first, up to a factor, and then squared: `z = d - B' (B d)`, where each row of B is a
    component times `sqrt(1 - sqrt(noise_variance / variance))`, has the same squared length.
    """
    tf, keras = import_tensorflow(), import_keras()

    class Unfamiliarity(keras.layers.Layer):  # type: ignore[name-defined]
        def __init__(self, directions: int, scale: float, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.directions, self.scale = directions, scale

        def build(self, shape: tuple[int | None, int]) -> None:
            self.kernel = self.add_weight(shape=(shape[-1], self.directions), name="kernel")
            self.mean = self.add_weight(shape=(shape[-1],), name="mean")

        def call(self, features: Any) -> Any:
            with tf.name_scope(KERNEL_SCOPE):
                kernel = tf.convert_to_tensor(self.kernel)  # Read once, so that the converted model holds it once.
            centred = features - self.mean
            whitened = centred - tf.matmul(tf.matmul(centred, kernel), kernel, transpose_b=True)
            return tf.reduce_sum(tf.square(whitened), axis=-1) * self.scale

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "directions": self.directions, "scale": self.scale}

    shrinkage = np.sqrt(1.0 - np.sqrt(familiarity.noise_variance / familiarity.explained_variance))
    layer = Unfamiliarity(len(shrinkage), 0.5 / familiarity.noise_variance, name="unfamiliarity")
    layer.build((None, len(familiarity.mean)))
    layer.set_weights([(familiarity.components * shrinkage[:, np.newaxis]).T, familiarity.mean])
    return layer
