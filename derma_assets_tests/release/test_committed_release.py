"""The release in the repository is whole, and every figure in the documentation follows from its logits."""

from pathlib import Path

import numpy as np

from derma_assets.browser.bundle import changed_files, read_manifest
from derma_assets.release.layout import WEIGHTS, read_release
from derma_assets.release.unpacked import unpacked_bundle
from derma_assets.release.verify import differences
from derma_assets.release.write import LIMIT_BYTES
from derma_assets.training.classifier import build_classifier
from derma_assets_tests.running import ROOT

RELEASE = ROOT / "data" / "release"


def test_every_figure_in_the_documentation_follows_from_the_released_logits() -> None:
    assert differences(RELEASE, [ROOT / "README.md", ROOT / "docs" / "ham10000.md"]) == []


def test_it_is_of_real_pictures_under_their_licence_and_small_enough_for_the_repository() -> None:
    said = read_release(RELEASE)
    assert said["dataset"]["key"] == "ham10000"
    assert not said["dataset"]["synthetic"]
    assert "CC BY-NC 4.0" in (RELEASE / "LICENSE.md").read_text()
    assert sum(path.stat().st_size for path in RELEASE.rglob("*") if path.is_file()) <= LIMIT_BYTES


def test_its_bundle_is_what_a_clinic_would_host(tmp_path: Path) -> None:
    bundle = unpacked_bundle(RELEASE, tmp_path / "bundle")
    assert changed_files(bundle) == []
    said, manifest = read_release(RELEASE), read_manifest(bundle)
    assert said["bundle"]["browser_parity"] == "passed"
    assert manifest["versions"]["data"]["trained_model"] == said["model"]["fingerprint"]
    assert manifest["preprocessing"]["size"] == said["model"]["image_size"]


def test_training_can_start_from_it() -> None:
    model = read_release(RELEASE)["model"]
    started = build_classifier(
        model["image_size"],
        alpha=model["alpha"],
        weights=str(RELEASE / WEIGHTS),
        trainable_layers=model["trainable_layers"],
        dropout=0.25,
        seed=0,
    )
    with np.load(RELEASE / WEIGHTS) as stored:
        np.testing.assert_array_equal(started.get_layer("conv1").kernel, stored["conv1/kernel"].astype(np.float32))
