"""What is measured of a variant is what its files hold."""

import json
from pathlib import Path

import numpy as np
import pytest

from derma_assets.browser.quantisation import Pictures, compare_variants, read_kernels, with_kernels
from derma_assets.errors import InputError
from derma_assets_tests.browser.conftest import Deployed


def test_each_variant_weighs_less_and_stays_close(deployed: Deployed, pixels: np.ndarray) -> None:
    labels = np.arange(len(pixels)) % 7
    table = compare_variants(deployed.trained, deployed.folded, deployed.variants, Pictures(pixels, labels))
    rows = table.set_index("variant")

    assert list(rows.index) == ["keras", "float32", "float16", "uint8"]
    assert rows["bytes"].loc["float32"] > 1.6 * rows["bytes"].loc["float16"] > 2.4 * rows["bytes"].loc["uint8"]
    assert rows["max_logit_difference"].loc["float32"] <= 1e-5
    assert rows["max_logit_difference"].loc["float16"] <= 1e-2
    assert 0 < rows["max_logit_difference"].loc["float16"] < rows["max_logit_difference"].loc["uint8"] < 0.5
    assert rows["top1_agreement"].loc["keras"] == 1
    assert rows["accuracy"].between(0, 1).all()


def test_depthwise_kernels_stay_float16_and_the_rest_is_uint8(deployed: Deployed) -> None:
    groups = json.loads((deployed.variants / "uint8" / "model.json").read_text())["weightsManifest"]
    kept = {
        weight["name"]: weight.get("quantization", {}).get("dtype", weight["dtype"])
        for group in groups
        for weight in group["weights"]
    }

    assert {dtype for name, dtype in kept.items() if "/depthwise/" in name} == {"float16"}
    assert {dtype for name, dtype in kept.items() if "/convolution/" in name} == {"uint8"}
    assert {dtype for name, dtype in kept.items() if "/depthwise/" not in name and "/convolution/" not in name} == {
        "float32",
        "int32",
    }


def test_every_kernel_is_read_back(deployed: Deployed) -> None:
    kernels = read_kernels(deployed.variants / "float32")

    assert len(kernels) == 28
    np.testing.assert_array_equal(kernels["conv_dw_5"], deployed.folded.get_layer("conv_dw_5").get_weights()[0])


def test_kernels_of_another_model_are_refused(deployed: Deployed) -> None:
    kernels = read_kernels(deployed.variants / "float32")

    with pytest.raises(InputError, match="conv1"):
        with_kernels(deployed.folded, {name: kernel for name, kernel in kernels.items() if name != "conv1"})
    with pytest.raises(InputError, match="another"):
        with_kernels(deployed.folded, {**kernels, "another": np.zeros((1, 1, 1, 1), np.float32)})


def test_a_quantised_weight_that_is_no_kernel_is_refused(deployed: Deployed, tmp_path: Path) -> None:
    variant = tmp_path / "renamed"
    variant.mkdir()
    for file in (deployed.variants / "uint8").iterdir():
        (variant / file.name).write_bytes(file.read_bytes().replace(b"conv1_1/convolution/", b"conv1_1/renamed/"))

    with pytest.raises(InputError, match="renamed"):
        read_kernels(variant)
