"""The maps are Grad-CAM, the page's map is what the page draws, and both lie where they should on the picture."""

from typing import Any

import numpy as np
import pytest

from derma_assets.dataset.preprocessing import model_input
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError
from derma_assets.evaluation.activation_maps import GRAD_CAM, SHOWN, activation_maps, enlarged, peaks
from derma_assets.tensorflow_runtime import import_keras, import_tensorflow
from derma_assets.training.classifier import build_classifier

SIZE = 96  # Maps have 3 x 3 cells.


@pytest.fixture(scope="module")
def trained() -> Any:
    """Return a classifier with random weights."""
    return build_classifier(SIZE, alpha=0.25, weights="random", trainable_layers=86, dropout=0.25, seed=0)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Return a picture of each diagnosis."""
    return np.stack([model_input(draw_picture(code, seed, 0), SIZE) for seed, code in enumerate(CODES)])


def by_gradient(trained: Any, pixels: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Grad-CAM as its paper defines it, (n, h, w), and the feature maps, from a model and its gradient."""
    tf, keras = import_tensorflow(), import_keras()
    both = keras.Model(trained.input, [trained.get_layer("pooling").input, trained.output])
    with tf.GradientTape() as tape:
        features, logits = both(pixels.astype(np.float32), training=False)
        tape.watch(features)
        # Once more from the watched features on, since they were computed before.
        rest = trained.get_layer("logits")(trained.get_layer("pooling")(features))
        score = tf.reduce_sum(rest[:, index])
    np.testing.assert_allclose(rest, logits, atol=1e-5)
    weights = tf.reduce_mean(tape.gradient(score, features), axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * features, axis=-1)).numpy(), features.numpy()


def test_the_maps_are_grad_cam_times_the_number_of_cells(trained: Any, pixels: np.ndarray) -> None:
    maps = activation_maps(trained, pixels)[GRAD_CAM]
    assert maps.shape == (len(pixels), 3, 3, len(CODES))
    for index in range(len(CODES)):
        expected, _ = by_gradient(trained, pixels, index)
        np.testing.assert_allclose(maps[..., index] / 9, expected, rtol=1e-4, atol=1e-9)
    assert maps.any()


def test_the_pages_map_is_what_lies_above_the_mean_class(trained: Any, pixels: np.ndarray) -> None:
    _, features = by_gradient(trained, pixels, 0)
    kernel, bias = trained.get_layer("logits").get_weights()
    cams = features @ kernel + bias
    expected = np.maximum(cams - cams.mean(axis=-1, keepdims=True), 0)
    np.testing.assert_allclose(activation_maps(trained, pixels)[SHOWN], expected, rtol=1e-4, atol=1e-9)


def test_a_model_that_ends_otherwise_is_refused() -> None:
    keras = import_keras()
    inputs = keras.Input((8, 8, 3))
    other = keras.Model(inputs, keras.layers.Dense(7)(keras.layers.Flatten()(inputs)))
    with pytest.raises(InputError, match="ends in Flatten and Dense"):
        activation_maps(other, np.zeros((1, 8, 8, 3), np.uint8))


def test_maps_are_enlarged_between_the_middles_of_the_cells() -> None:
    row = enlarged(np.array([[[0.0, 4.0]]]), 8)[0, 0]
    # The middles are at 2 and 6, beyond them it is flat; pixel 2 has its middle at 2.5.
    np.testing.assert_allclose(row, [0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4])
    down = enlarged(np.array([[[0.0], [4.0]]]), 8)[0, :, 3]
    np.testing.assert_allclose(down, row)


def test_the_peak_is_the_middle_of_the_largest_cell() -> None:
    maps = np.zeros((2, 4, 2))
    maps[0, 3, 0], maps[1, 0, 1] = 1, 2
    assert peaks(maps, 64).tolist() == [[56, 16], [8, 48]]
