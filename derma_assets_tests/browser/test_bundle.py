"""The manifest tells the truth about the bundle, and equal inputs give an equal bundle."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from derma_assets.browser.bundle import changed_files, read_manifest, with_variant, write_bundle
from derma_assets.diagnoses import CODES, DISCLAIMER
from derma_assets.errors import InputError
from derma_assets.storage.fingerprint import fingerprint_folder, sha256_of_files
from derma_assets_tests.browser.conftest import SIZE, THRESHOLDS, Deployed, describe


def test_the_manifest_lists_every_other_file_with_its_hash(bundle_folder: Path) -> None:
    found = sha256_of_files(bundle_folder)
    del found["manifest.json"]

    assert read_manifest(bundle_folder)["files"] == found
    assert changed_files(bundle_folder) == []


def test_the_manifest_holds_what_the_page_shows(bundle_folder: Path) -> None:
    manifest = read_manifest(bundle_folder)

    assert [label["code"] for label in manifest["labels"]] == list(CODES)
    assert manifest["disclaimer"] == DISCLAIMER
    assert manifest["dataset"]["synthetic"]
    assert "generated pictures" in manifest["dataset"]["notice"]
    assert manifest["preprocessing"]["size"] == SIZE
    assert {point["threshold"] for point in manifest["operating_points"]} == set(THRESHOLDS.values())
    assert manifest["metrics"]["per_class"][0]["value"] is None
    assert manifest["versions"]["data"]["trained_model"] == "0123456789abcdef"
    assert manifest["model"]["topology"] in manifest["model"]["files"]


def test_a_bundle_of_real_data_says_whose_it_is() -> None:
    dataset = describe("ham10000")["dataset"]

    assert not dataset["synthetic"]
    assert dataset["notice"] == ""
    assert "CC BY-NC 4.0" in dataset["licence"]


def test_equal_inputs_give_an_equal_bundle(
    deployed: Deployed, page_folder: Path, description: dict[str, Any], bundle_folder: Path, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "again", page_folder, deployed.variants / "float32", "float32", description)

    assert fingerprint_folder(tmp_path / "again") == fingerprint_folder(bundle_folder)


def test_another_variant_only_changes_the_model(deployed: Deployed, bundle_folder: Path, tmp_path: Path) -> None:
    manifest = with_variant(tmp_path / "small", bundle_folder, deployed.variants / "uint8", "uint8")
    before = read_manifest(bundle_folder)

    assert manifest["model"]["variant"] == "uint8"
    assert changed_files(tmp_path / "small") == []
    assert {key for key in manifest if manifest[key] != before[key]} == {"model", "files"}


def test_changed_missing_and_added_files_are_found(bundle_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(bundle_folder, copy)
    (copy / "index.html").write_text("changed")
    (copy / "icon.svg").unlink()
    (copy / "added.js").write_text("")

    assert changed_files(copy) == ["added.js", "icon.svg", "index.html"]


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf"), None, "1"])
def test_an_unusable_temperature_is_refused(temperature: Any) -> None:
    with pytest.raises(InputError, match="temperature"):
        describe(temperature={"temperature": temperature})


def test_an_unusable_threshold_is_refused() -> None:
    points = {name: {"threshold": float("nan")} for name in THRESHOLDS}

    with pytest.raises(InputError, match="threshold"):
        describe(operating_points=points)


def test_nothing_in_the_bundle_points_elsewhere(bundle_folder: Path) -> None:
    page = (bundle_folder / "index.html").read_text()
    style = "".join(file.read_text() for file in bundle_folder.rglob("*.css"))

    assert "http" not in page.replace("http-equiv", "")
    assert "http" not in style
    assert 'src="/' not in page
    assert 'href="/' not in page
    json.loads((bundle_folder / "manifest.json").read_text(), parse_constant=lambda value: pytest.fail(value))
