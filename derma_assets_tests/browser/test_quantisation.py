"""What is measured of a variant is what its files hold."""

from pathlib import Path

import numpy as np
import pytest

from derma_assets.browser.quantisation import Pictures, Reference, compare_variants, read_layers, with_layers
from derma_assets.errors import InputError
from derma_assets_tests.browser.conftest import Deployed


def test_each_variant_weighs_less_and_stays_close(deployed: Deployed, pixels: np.ndarray, reference: Reference) -> None:
    labels = np.arange(len(pixels)) % 7
    table = compare_variants(deployed.folded, deployed.variants, Pictures(pixels, labels), reference)
    rows = table.set_index("variant")

    assert list(rows.index) == ["keras", "float32", "float16", "uint8"]
    assert rows["bytes"].loc["float32"] > 1.6 * rows["bytes"].loc["float16"] > 1.8 * rows["bytes"].loc["uint8"]
    assert rows["max_logit_difference"].loc["float32"] <= 3e-5
    assert rows["max_logit_difference"].loc["float16"] <= 1e-2
    assert 0 < rows["max_logit_difference"].loc["float16"] < rows["max_logit_difference"].loc["uint8"] < 0.1
    assert rows["max_unfamiliarity_difference"].loc["float32"] <= 1e-4
    assert rows["max_unfamiliarity_difference"].loc["uint8"] <= 0.02
    assert rows["top1_agreement"].loc["keras"] == 1
    assert rows["accuracy"].between(0, 1).all()


def test_every_layer_is_read_back(deployed: Deployed) -> None:
    layers = read_layers(deployed.variants / "float32")

    # Conv1, thirteen depthwise and thirteen pointwise ones, the class activation maps, and unfamiliarity.
    assert len(layers) == 29
    np.testing.assert_array_equal(layers["conv_dw_5"][0], deployed.folded.get_layer("conv_dw_5").get_weights()[0])
    for read, kept in zip(layers["conv_pw_13"], deployed.folded.get_layer("conv_pw_13").get_weights(), strict=True):
        np.testing.assert_array_equal(read, kept)


def test_rounding_changes_the_bias_too(deployed: Deployed) -> None:
    kernel, bias = read_layers(deployed.variants / "uint8")["conv_pw_13"]
    before = deployed.folded.get_layer("conv_pw_13").get_weights()

    assert 0 < np.abs(kernel - before[0]).max() < np.abs(before[0]).max() / 20
    assert 0 < np.abs(bias - before[1]).max() < 0.1


def test_weights_of_another_model_are_refused(deployed: Deployed) -> None:
    layers = read_layers(deployed.variants / "float32")

    with pytest.raises(InputError, match="conv1"):
        with_layers(deployed.folded, {name: weights for name, weights in layers.items() if name != "conv1"})
    with pytest.raises(InputError, match="conv_dw_5"):
        with_layers(deployed.folded, {**layers, "conv_dw_5": [np.zeros((1, 1, 1, 1), np.float32)]})
    with pytest.raises(InputError, match="another"):
        with_layers(deployed.folded, {**layers, "another": [np.zeros((1, 1, 1, 1), np.float32)]})


@pytest.mark.parametrize("scope", ["conv_pw_5_1", "conv_pw_13_1"])
def test_a_quantised_weight_that_is_no_kernel_is_refused(deployed: Deployed, tmp_path: Path, scope: str) -> None:
    """One in 16 bits, and one of two constants."""
    variant = tmp_path / "renamed"
    variant.mkdir()
    for file in (deployed.variants / "uint8").iterdir():
        renamed = file.read_bytes().replace(f"{scope}/convolution/".encode(), f"{scope}/renamed/".encode())
        (variant / file.name).write_bytes(renamed)

    with pytest.raises(InputError, match="renamed"):
        read_layers(variant)
