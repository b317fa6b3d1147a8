"""The stand-in for training learns what the plain layers would learn."""

from typing import Any

import numpy as np
import pytest

from derma_assets.tensorflow_runtime import import_tensorflow
from derma_assets.training.classifier import build_classifier
from derma_assets.training.fast_layers import bring_back, fast_twin, pointwise_convolution
from derma_assets.training.hardware import Precision

PICTURES = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype(np.float32)


def _model(trainable_layers: int = 86, architecture: str = "mobilenet") -> Any:
    choice = {"alpha": 0.25, "weights": "random", "dropout": 0.0, "seed": 1}
    return build_classifier(32, architecture=architecture, trainable_layers=trainable_layers, **choice)


def _gradients(network: Any, training: bool) -> list[np.ndarray]:
    tf = import_tensorflow()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.cast(network(PICTURES, training=training), tf.float32) ** 2)
    return [np.asarray(gradient) for gradient in tape.gradient(loss, network.trainable_variables)]


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize(
    ("architecture", "trainable_layers"),
    [("mobilenet", 30), ("mobilenet", 86), ("efficientnet_lite0", 30), ("efficientnet_lite0", 141)],
)
def test_the_twin_has_the_same_outputs_and_gradients(architecture: str, trainable_layers: int, training: bool) -> None:
    model = _model(trainable_layers, architecture)
    twin = fast_twin(model, 0.99, "float32")
    np.testing.assert_allclose(model(PICTURES), twin(PICTURES), rtol=1e-4, atol=1e-5)
    plain, fast = _gradients(model, training), _gradients(twin, training)
    assert len(plain) == len(fast) == len(model.trainable_variables)
    # What a later normalization takes away again has no gradient but rounding.
    rounding = 1e-6 * max(float(np.abs(gradient).max()) for gradient in plain)
    for one, other in zip(plain, fast, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=max(1e-3 * float(np.abs(one).max()), rounding))


def test_the_twin_follows_the_statistics_of_what_it_sees() -> None:
    model = _model()
    twin = fast_twin(model, 0.75, "float32")
    for layer in model.layers:
        if hasattr(layer, "momentum"):
            layer.momentum = 0.75
    for network in (model, twin):
        for _ in range(3):
            network(PICTURES, training=True)
    for one, other in zip(model.layers, twin.layers, strict=True):
        if hasattr(one, "moving_variance"):
            # TensorFlow's fused operation divides by n - 1, Keras by n: the smallest layer here has n = 8.
            np.testing.assert_allclose(one.moving_mean, other.moving_mean, rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(one.moving_variance, other.moving_variance, rtol=0.15, atol=1e-4)


def test_what_was_learned_is_brought_back_and_the_frozen_layers_are_as_they_were() -> None:
    model = _model(30)
    for layer in model.layers:
        if hasattr(layer, "moving_mean"):  # as after a training: no two channels alike
            draw = np.random.default_rng(len(layer.name))
            layer.set_weights([draw.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    before = {layer.name: layer.get_weights() for layer in model.layers}
    twin = fast_twin(model, 0.5, "float32")
    np.testing.assert_allclose(model(PICTURES), twin(PICTURES), rtol=1e-4, atol=1e-5)
    twin(PICTURES, training=True)
    bring_back(twin, model)
    for layer in model.layers:
        same = all(np.array_equal(*pair) for pair in zip(before[layer.name], layer.get_weights(), strict=True))
        assert same == (not (layer.trainable and hasattr(layer, "moving_mean")))
    np.testing.assert_allclose(model(PICTURES), twin(PICTURES), rtol=1e-4, atol=1e-5)


def test_a_product_in_bfloat16_is_close_forwards_and_backwards() -> None:
    tf = import_tensorflow()
    pictures = tf.random.stateless_normal([2, 8, 8, 64], [1, 2])
    kernel = tf.random.stateless_normal([1, 1, 64, 32], [3, 4])
    results = []
    for in_bfloat16 in (False, True):
        with tf.GradientTape() as tape:
            tape.watch([pictures, kernel])
            product = pointwise_convolution(pictures, kernel, in_bfloat16)
            loss = tf.reduce_sum(product**2)
        results.append([np.asarray(one).ravel() for one in (product, *tape.gradient(loss, [pictures, kernel]))])
    np.testing.assert_allclose(results[0][0], np.asarray(tf.nn.conv2d(pictures, kernel, 1, "SAME")).ravel(), atol=1e-4)
    for exact, rounded in zip(*results, strict=True):
        assert 0 < np.linalg.norm(exact - rounded) < 0.01 * np.linalg.norm(exact)


@pytest.mark.parametrize("precision", ["bfloat16_products", "mixed_bfloat16", "mixed_float16"])
def test_lower_precision_keeps_weights_and_logits_in_float32(precision: Precision) -> None:
    model = _model()
    twin = fast_twin(model, 0.99, precision)
    assert {variable.dtype for variable in twin.trainable_variables} == {"float32"}
    assert np.asarray(twin(PICTURES, training=True)).dtype == np.float32
    convolution = twin.get_layer("conv_pw_1")
    assert convolution.compute_dtype == (precision.removeprefix("mixed_") if "mixed" in precision else "float32")
    assert np.isfinite(np.concatenate([one.ravel() for one in _gradients(twin, True)])).all()
    bring_back(twin, model)
