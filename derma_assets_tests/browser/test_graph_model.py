"""Folding changes nothing but rounding, and the converted model is the folded one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from derma_assets.browser.graph_model import VARIANTS, export_variants, fold_batch_normalisation
from derma_assets.browser.quantisation import logits_of
from derma_assets.errors import InputError
from derma_assets.storage.fingerprint import sha256_of_files
from derma_assets.tensorflow_runtime import import_keras
from derma_assets_tests.browser.conftest import Deployed


def test_the_folded_model_gives_the_same_logits(deployed: Deployed, pixels: np.ndarray) -> None:
    reference = logits_of(deployed.trained, pixels)

    assert np.ptp(reference) > 1
    np.testing.assert_allclose(logits_of(deployed.folded, pixels), reference, rtol=0, atol=1e-5)


def test_no_normalisation_or_dropout_is_left(deployed: Deployed) -> None:
    kinds = {type(layer).__name__ for layer in deployed.folded.layers}

    assert not kinds & {"BatchNormalization", "Dropout"}


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

    np.testing.assert_allclose(cams, features @ kernel + bias, rtol=0, atol=2e-5)


def _model(*layers: Any) -> Any:
    return import_keras().Sequential([import_keras().Input((8, 8, 3)), *layers])


def test_normalisation_without_scale_or_centre_after_a_biased_convolution() -> None:
    layers = import_keras().layers
    model = _model(
        layers.Conv2D(4, 3, use_bias=True),
        layers.BatchNormalization(scale=False, center=False),
        layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=True),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.GlobalAveragePooling2D(),
        layers.Dense(7),
    )
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.2, 1.5, weight.shape) for weight in model.get_weights()])
    pictures = rng.uniform(0, 1, (3, 8, 8, 3)).astype(np.float32)

    np.testing.assert_allclose(
        logits_of(fold_batch_normalisation(model), pictures), logits_of(model, pictures), rtol=1e-5
    )


@pytest.mark.parametrize("kind", ["normalisation first", "activation between", "other end", "branch"])
def test_models_that_cannot_be_folded_are_refused(kind: str) -> None:
    keras = import_keras()
    layers = keras.layers
    end = (layers.GlobalAveragePooling2D(), layers.Dense(7))
    if kind == "normalisation first":
        model = _model(layers.BatchNormalization(), *end)
    elif kind == "activation between":
        model = _model(layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(), *end)
    elif kind == "other end":
        model = _model(layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(7))
    else:
        inputs = keras.Input((8, 8, 3))
        features = layers.Add()([layers.Conv2D(4, 3)(inputs), layers.Conv2D(4, 3)(inputs)])
        model = keras.Model(inputs, end[1](end[0](features)))

    with pytest.raises(InputError):
        fold_batch_normalisation(model)


def test_equal_models_give_equal_files(deployed: Deployed, tmp_path: Path) -> None:
    export_variants(fold_batch_normalisation(deployed.trained), tmp_path / "again")

    assert sha256_of_files(tmp_path / "again") == sha256_of_files(deployed.variants)


@pytest.mark.parametrize("variant", VARIANTS)
def test_outputs_are_named(deployed: Deployed, variant: str) -> None:
    signature = json.loads((deployed.variants / variant / "model.json").read_text())["signature"]

    assert list(signature["inputs"]) == ["picture"]
    assert set(signature["outputs"]) == {"logits", "cams"}


def test_conversion_is_quiet(deployed: Deployed, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    layers = import_keras().layers
    small = _model(layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(7))
    capfd.readouterr()

    export_variants(fold_batch_normalisation(small), tmp_path)

    assert capfd.readouterr() == ("", "")
