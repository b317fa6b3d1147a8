"""A real browser computes what Python computes, and the check sees when it does not."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from derma_assets.browser import chromium
from derma_assets.browser.bundle import with_variant
from derma_assets.browser.parity import BrowserOutputs, compare_outputs, measure_parity, spread_rows
from derma_assets.browser.quantisation import logits_of
from derma_assets.errors import UserError
from derma_assets_tests.browser.conftest import Deployed


def test_the_browser_agrees_with_keras(
    browser_program: Path, bundle_folder: Path, deployed: Deployed, pixels: np.ndarray
) -> None:
    reference = logits_of(deployed.trained, pixels)

    parity = measure_parity(browser_program, bundle_folder, deployed.variants, pixels, reference)

    assert parity.problems == []
    outputs = parity.outputs.set_index("model")
    assert list(outputs.index) == ["bundle", "float32", "float16", "uint8"]
    assert outputs["max_logit_difference"].loc["float32"] <= 1e-4
    assert outputs["max_logit_difference"].loc["uint8"] > 1e-4
    exact = parity.preprocessing[parity.preprocessing["must_be_exact"]]
    assert len(exact) >= 16
    assert (exact["max_difference"] == 0).all()
    assert parity.preprocessing["max_difference"].max() <= 2


def test_a_bundle_with_another_model_is_noticed(
    browser_program: Path, bundle_folder: Path, deployed: Deployed, pixels: np.ndarray, tmp_path: Path
) -> None:
    """The manifest is in order, but the model is not the trained one: here, its weights lost their signs."""
    other = tmp_path / "other"
    shutil.copytree(deployed.variants / "float32", other)
    for shard in other.glob("*.bin"):
        weights = np.frombuffer(shard.read_bytes(), np.float32)
        shard.write_bytes(np.abs(weights).tobytes())
    with_variant(tmp_path / "bundle", bundle_folder, other, "float32")
    (tmp_path / "bundle" / "added.txt").write_text("")
    reference = logits_of(deployed.trained, pixels[:8])

    parity = measure_parity(browser_program, tmp_path / "bundle", deployed.variants, pixels[:8], reference)

    assert parity.problems[0].startswith("added.txt")
    assert parity.problems[1].startswith("bundle differs from Keras")
    assert len(parity.problems) == 2


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
    reference = np.eye(7, dtype=np.float32)
    cams = np.broadcast_to(reference[:, None, None] + np.float32(change), (7, 2, 2, 7))

    compared = compare_outputs("model", variant, BrowserOutputs(reference + np.float32(change), cams), reference)

    assert compared["near_enough"] is near


def test_other_first_diagnoses_are_not_near_enough() -> None:
    reference = np.eye(7, dtype=np.float32)
    swapped = reference[::-1].copy()

    compared = compare_outputs("model", "uint8", BrowserOutputs(swapped, swapped[:, None, None]), reference)

    assert compared["top1_agreement"] == pytest.approx(1 / 7)
    assert compared["near_enough"] is False


def test_the_pictures_looked_at_are_spread() -> None:
    assert spread_rows(np.array([9, 1, 5]), 5).tolist() == [1, 5, 9]
    assert spread_rows(np.arange(100), 5).tolist() == [0, 25, 50, 74, 99]


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
