"""A real browser computes what Python computes, and the check sees when it does not."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from derma_assets.browser import chromium
from derma_assets.browser.bundle import with_variant
from derma_assets.browser.parity import Outputs, compare_outputs, measure_parity
from derma_assets.browser.quantisation import Reference
from derma_assets.errors import UserError
from derma_assets_tests.browser.conftest import Deployed

pytestmark = pytest.mark.browser


def test_the_browser_agrees_with_keras(
    browser_program: Path, bundle_folder: Path, deployed: Deployed, pixels: np.ndarray, reference: Reference
) -> None:
    parity = measure_parity(browser_program, bundle_folder, deployed.variants, pixels, reference)

    assert parity.problems == []
    outputs = parity.outputs.set_index(["model", "backend"])
    assert set(outputs["variant"].loc["bundle"]) == {"float32"}
    for model, backend in [("bundle", "wasm"), ("bundle", "wasm-threads")]:
        assert outputs.loc[(model, backend), "max_logit_difference"] <= 1e-4
        assert outputs.loc[(model, backend), "max_unfamiliarity_difference"] <= 1e-3
        assert outputs.loc[(model, backend), "pictures"] == len(pixels)
    for backend in ("webgl", "webgpu"):
        assert outputs.loc[("bundle", backend), "near_enough"]
        assert outputs.loc[("bundle", backend), "pictures"] == 4
    assert outputs.loc[("uint8", "wasm"), "max_logit_difference"] > 1e-4
    assert outputs.loc[("float16", "wasm"), "near_enough"]
    exact = parity.preprocessing[parity.preprocessing["must_be_exact"]]
    assert len(exact) >= 16
    assert (exact["max_difference"] == 0).all()
    assert parity.preprocessing["max_difference"].max() <= 2


def test_a_bundle_with_another_model_is_noticed(
    browser_program: Path,
    bundle_folder: Path,
    deployed: Deployed,
    pixels: np.ndarray,
    reference: Reference,
    tmp_path: Path,
) -> None:
    """The manifest is in order, but the model is not the trained one: here, its weights lost their signs."""
    other = tmp_path / "other"
    shutil.copytree(deployed.variants / "float32", other)
    for shard in other.glob("*.bin"):
        weights = np.frombuffer(shard.read_bytes(), np.float32).copy()
        # The axis -1, a whole number, looks like none.
        weights[weights < 0] *= -1
        shard.write_bytes(weights.tobytes())
    with_variant(tmp_path / "bundle", bundle_folder, other, "float32")
    (tmp_path / "bundle" / "added.txt").write_text("")

    parity = measure_parity(browser_program, tmp_path / "bundle", deployed.variants, pixels[:8], reference[:8])

    assert parity.problems[0].startswith("added.txt")
    assert parity.problems[1].startswith("bundle on wasm differs from Keras")
    assert parity.problems[2].startswith("bundle on wasm-threads differs from Keras")
    assert len(parity.problems) == 3


@pytest.mark.parametrize(
    ("variant", "change", "near"),
    [
        ("float32", 5e-5, True),
        ("float32", 2e-4, False),
        ("float32", np.nan, False),
        ("float16", 2e-4, True),
        ("uint8", np.nan, False),
    ],
)
def test_what_is_near_enough(variant: str, change: float, near: bool) -> None:
    logits = np.eye(7, dtype=np.float32)
    found = logits + np.float32(change)
    outputs = Outputs(found, np.broadcast_to(found[:, None, None], (7, 2, 2, 7)), np.ones(7))

    assert compare_outputs(variant, outputs, Reference(logits, np.ones(7)))["near_enough"] is near


@pytest.mark.parametrize(("largest", "change", "near"), [(20, 1e-3, True), (20, 4e-3, False), (0.1, 2e-4, False)])
@pytest.mark.parametrize("what", ["logits", "cams"])
def test_rounding_may_grow_with_the_logits_of_the_picture(largest: float, change: float, near: bool, what: str) -> None:
    """The other pictures' logits decide nothing: theirs are large in every case."""
    logits = np.full((3, 7), 100, np.float32)
    logits[1] = np.linspace(-largest, 0, 7)
    changed = logits.copy()
    changed[1, 0] += change
    outputs = {
        "logits": Outputs(changed, changed[:, None, None], np.ones(3)),
        "cams": Outputs(logits, changed[:, None, None], np.ones(3)),
    }
    assert compare_outputs("float32", outputs[what], Reference(logits, np.ones(3)))["near_enough"] is near


@pytest.mark.parametrize(
    ("variant", "pictures", "other", "near"),
    [
        ("float32", 50, 1, False),
        ("uint8", 50, 1, True),
        ("uint8", 50, 2, False),
        ("float16", 300, 3, True),
        ("uint8", 300, 3, True),
        ("uint8", 300, 4, False),
    ],
)
def test_in_how_many_pictures_the_first_diagnosis_may_differ(
    variant: str, pictures: int, other: int, near: bool
) -> None:
    logits = np.zeros((pictures, 7), np.float32)
    logits[:, 0] = 1e-5
    turned = logits.copy()
    turned[:other, :2] = turned[:other, 1::-1]
    compared = compare_outputs(
        variant, Outputs(turned, turned[:, None, None], np.ones(pictures)), Reference(logits, np.ones(pictures))
    )

    assert compared["top1_agreement"] == pytest.approx(1 - other / pictures)
    assert compared["near_enough"] is near


@pytest.mark.parametrize(
    ("variant", "factor", "near"), [("float32", 1.002, False), ("uint8", 1.05, True), ("uint8", np.nan, False)]
)
def test_unfamiliarity_is_compared_as_a_share_of_it(variant: str, factor: float, near: bool) -> None:
    logits, unfamiliarity = np.eye(7, dtype=np.float32), np.geomspace(1, 1e6, 7)
    outputs = Outputs(logits, logits[:, None, None], unfamiliarity * factor)

    assert compare_outputs(variant, outputs, Reference(logits, unfamiliarity))["near_enough"] is near


def test_a_named_browser_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="DERMA_BROWSER"):
        chromium.find_browser(tmp_path / "absent")


def test_a_browser_that_does_not_start_is_reported(tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)

    with pytest.raises(UserError, match="does not start"), chromium.launched(program):
        pass


def test_a_browser_that_fails_meanwhile_is_reported(browser_program: Path) -> None:
    with pytest.raises(UserError, match="failed meanwhile"), chromium.launched(browser_program) as browser:
        browser.new_page().goto("http://127.0.0.1:9/")


def test_browsers_are_looked_for_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "google-chrome"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))

    assert chromium.find_browser(None) == program
