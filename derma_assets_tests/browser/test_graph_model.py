"""Folding changes nothing but rounding, and the deployed model says all that the page needs."""

from typing import Any

import numpy as np
import pytest

from derma_assets.browser.graph_model import deployed_model
from derma_assets.browser.quantisation import Reference, logits_of, outputs_of
from derma_assets.calibration.familiarity import FamiliarityModel, fit_familiarity
from derma_assets.errors import InputError
from derma_assets.tensorflow_runtime import import_keras
from derma_assets_tests.browser.conftest import Deployed


def test_the_folded_model_gives_the_same_logits(deployed: Deployed, pixels: np.ndarray) -> None:
    reference = logits_of(deployed.trained, pixels)

    assert np.ptp(reference) > 1
    np.testing.assert_allclose(outputs_of(deployed.folded, pixels)["logits"], reference, rtol=0, atol=3e-5)


def test_no_normalisation_dropout_or_padding_is_left(deployed: Deployed) -> None:
    kinds = {type(layer).__name__ for layer in deployed.folded.layers}

    assert not kinds & {"BatchNormalization", "Dropout", "ZeroPadding2D"}


@pytest.mark.parametrize(("size", "padding", "left"), [(8, 1, 0), (9, 1, 1), (8, 2, 1)])
def test_only_padding_that_a_convolution_does_by_itself_is_left_to_it(size: int, padding: int, left: int) -> None:
    layers = import_keras().layers
    model = import_keras().Sequential(
        [
            import_keras().Input((size, size, 3)),
            layers.ZeroPadding2D(((0, padding), (0, padding))),
            layers.DepthwiseConv2D(3, strides=2, name="last"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(7),
        ]
    )
    pictures = np.random.default_rng(0).uniform(0, 1, (3, size, size, 3)).astype(np.float32)
    deployed = deployed_model(model, _familiarity("last", 3))

    assert sum(isinstance(layer, layers.ZeroPadding2D) for layer in deployed.layers) == left
    np.testing.assert_allclose(outputs_of(deployed, pictures)["logits"], logits_of(model, pictures), rtol=1e-5)


def test_activation_maps_average_to_the_logits(deployed: Deployed, pixels: np.ndarray) -> None:
    outputs = deployed.folded.predict(pixels[:4].astype(np.float32), verbose=0)

    assert outputs["cams"].shape == (4, 3, 3, 7)
    np.testing.assert_allclose(outputs["cams"].mean(axis=(1, 2)), outputs["logits"], rtol=0, atol=1e-5)


def test_activation_maps_are_features_times_the_dense_kernel(deployed: Deployed, pixels: np.ndarray) -> None:
    keras = import_keras()
    last = next(layer for layer in deployed.trained.layers if type(layer).__name__ == "GlobalAveragePooling2D")
    features = keras.Model(deployed.trained.input, last.input).predict(pixels[:2].astype(np.float32), verbose=0)
    kernel, bias = deployed.trained.get_layer("logits").get_weights()
    cams = deployed.folded.predict(pixels[:2].astype(np.float32), verbose=0)["cams"]

    np.testing.assert_allclose(cams, features @ kernel + bias, rtol=0, atol=1e-4)


def test_unfamiliarity_is_the_guards(deployed: Deployed, pixels: np.ndarray, reference: Reference) -> None:
    assert np.ptp(reference.unfamiliarity) > 1
    np.testing.assert_allclose(outputs_of(deployed.folded, pixels)["unfamiliarity"], reference.unfamiliarity, rtol=1e-4)


def _model(*layers: Any) -> Any:
    return import_keras().Sequential([import_keras().Input((8, 8, 3)), *layers])


def _familiarity(layer: str, features: int = 4) -> FamiliarityModel:
    return fit_familiarity(np.random.default_rng(0).normal(size=(40, features)), layer)


def test_normalisation_without_scale_or_centre_after_a_biased_convolution() -> None:
    layers = import_keras().layers
    model = _model(
        layers.Conv2D(4, 3, use_bias=True),
        layers.BatchNormalization(scale=False, center=False),
        layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=True),
        layers.BatchNormalization(),
        layers.ReLU(name="last"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(7),
    )
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.2, 1.5, weight.shape) for weight in model.get_weights()])
    pictures = rng.uniform(0, 1, (3, 8, 8, 3)).astype(np.float32)

    deployed = deployed_model(model, _familiarity("last", 8))

    np.testing.assert_allclose(outputs_of(deployed, pictures)["logits"], logits_of(model, pictures), rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("normalisation first", "it does not follow a convolution"),
        ("activation between", "has an activation in between"),
        ("other end", "must end in GlobalAveragePooling2D"),
        ("read twice", "more layers read"),
    ],
)
def test_models_that_cannot_be_folded_are_refused(kind: str, message: str) -> None:
    keras = import_keras()
    layers = keras.layers
    last = layers.Conv2D(4, 3, name="last")
    end = (layers.GlobalAveragePooling2D(), layers.Dense(7))
    if kind == "normalisation first":
        model = _model(layers.BatchNormalization(), last, *end)
    elif kind == "activation between":
        model = _model(layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(), last, *end)
    elif kind == "other end":
        model = _model(last, layers.Flatten(), layers.Dense(7))
    else:
        inputs = keras.Input((8, 8, 3))
        convolved = layers.Conv2D(3, 1)(inputs)
        features = last(layers.Add()([convolved, layers.BatchNormalization()(convolved)]))
        model = keras.Model(inputs, end[1](end[0](features)))

    with pytest.raises(InputError, match=message):
        deployed_model(model, _familiarity("last"))


def test_branches_and_dropout_anywhere_are_deployed() -> None:
    keras = import_keras()
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    padded = layers.ZeroPadding2D(((0, 1), (0, 1)))(inputs)
    one, other = (layers.Conv2D(4, 3, strides=2)(padded) for _ in range(2))
    features = layers.Dropout(0.5)(layers.Add(name="last")([one, layers.BatchNormalization()(other)]))
    model = keras.Model(inputs, layers.Dense(7)(layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(features))))
    pictures = np.random.default_rng(0).uniform(0, 1, (3, 8, 8, 3)).astype(np.float32)

    deployed = deployed_model(model, _familiarity("last"))

    assert not any(isinstance(layer, layers.Dropout) for layer in deployed.layers)
    np.testing.assert_allclose(outputs_of(deployed, pictures)["logits"], logits_of(model, pictures), rtol=1e-5)


@pytest.mark.parametrize("layer", ["absent", "folded", "normalised"])
def test_unfamiliarity_of_a_layer_that_is_not_left_is_refused(layer: str) -> None:
    layers = import_keras().layers
    model = _model(
        layers.Conv2D(4, 3, name="folded"),
        layers.BatchNormalization(name="normalised"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(7),
    )

    with pytest.raises(InputError, match=layer):
        deployed_model(model, _familiarity(layer))
