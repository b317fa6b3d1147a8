from pathlib import Path

import numpy as np
import pytest

from derma_assets.errors import InputError
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training.classifier import build_classifier


def _build(**changes: object):
    choice = {"alpha": 0.25, "weights": "random", "trainable_layers": 30, "dropout": 0.25, "seed": 1}
    return build_classifier(32, **{**choice, **changes})


def test_shapes_and_frozen_layers() -> None:
    model = _build(alpha=1.0)
    assert model.output_shape == (None, 7)
    own = [
        layer for layer in model.layers if layer.name not in ("pictures", "rescaling", "pooling", "dropout", "logits")
    ]
    assert [layer.trainable for layer in own] == [False] * 55 + [True] * 30  # the input is MobileNet's 86th layer
    assert not any(hasattr(layer, "layers") for layer in model.layers)


def test_a_weights_file_is_loaded_into_the_backbone(tmp_path: Path) -> None:
    keras = import_keras()
    donor = keras.applications.MobileNet(include_top=False, alpha=0.25, weights=None, input_shape=(64, 64, 3))
    donor.save_weights(tmp_path / "donor.weights.h5")
    model = _build(weights=str(tmp_path / "donor.weights.h5"))
    np.testing.assert_array_equal(model.get_layer("conv1").kernel, donor.get_layer("conv1").kernel)
    np.testing.assert_array_equal(model.get_layer("conv_pw_13").kernel, donor.get_layer("conv_pw_13").kernel)


@pytest.mark.parametrize("content", [None, b"not weights"])
def test_weights_that_cannot_be_loaded_are_an_error_not_a_fallback(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.weights.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="DERMA_BACKBONE_WEIGHTS"):
        _build(weights=str(path))


def test_weights_of_another_width_are_refused(tmp_path: Path) -> None:
    keras = import_keras()
    donor = keras.applications.MobileNet(include_top=False, alpha=0.5, weights=None, input_shape=(64, 64, 3))
    donor.save_weights(tmp_path / "wide.weights.h5")
    with pytest.raises(InputError, match=r"alpha 0\.25"):
        _build(weights=str(tmp_path / "wide.weights.h5"))
