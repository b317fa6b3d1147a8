"""The manifest tells the truth about the bundle, and equal inputs give an equal bundle."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from derma_assets.browser.bundle import MANIFEST, changed_files, read_manifest, with_variant, write_bundle
from derma_assets.browser.precache import SERVICE_WORKER
from derma_assets.diagnoses import CODES, DISCLAIMER, MALIGNANT, MELANOMA
from derma_assets.errors import InputError
from derma_assets.storage.fingerprint import fingerprint_folder, sha256_of_files
from derma_assets_tests.browser.conftest import (
    MEASURES,
    SIZE,
    TEMPERATURE,
    THRESHOLDS,
    VIEW_COUNTS,
    Deployed,
    calibrated_views,
    describe,
)


def test_the_manifest_lists_every_other_file_with_its_hash_and_size(bundle_folder: Path) -> None:
    found = sha256_of_files(bundle_folder)
    del found[MANIFEST], found[SERVICE_WORKER]

    assert read_manifest(bundle_folder)["files"] == {
        path: {"sha256": sha256, "bytes": (bundle_folder / path).stat().st_size} for path, sha256 in found.items()
    }
    assert changed_files(bundle_folder) == []


def test_the_manifest_holds_what_the_page_shows(bundle_folder: Path) -> None:
    manifest = read_manifest(bundle_folder)

    assert manifest["schema_version"] == 2
    assert [label["code"] for label in manifest["labels"]] == list(CODES)
    assert manifest["disclaimer"] == DISCLAIMER
    assert manifest["dataset"]["synthetic"]
    assert "generated pictures" in manifest["dataset"]["notice"]
    assert manifest["preprocessing"]["size"] == SIZE
    assert manifest["metrics"]["per_class"][0]["value"] is None
    assert manifest["metrics"]["subgroups"][0]["group"] == "female"
    assert [row["count"] for row in manifest["metrics"]["views"]] == list(VIEW_COUNTS)
    assert manifest["versions"]["data"]["trained_model"] == "0123456789abcdef"
    assert manifest["model"]["topology"] in manifest["model"]["files"]


def test_each_number_of_views_has_its_temperature_and_operating_points(bundle_folder: Path) -> None:
    views = read_manifest(bundle_folder)["views"]

    assert [one["count"] for one in views] == list(VIEW_COUNTS)
    assert {one["temperature"] for one in views} == {TEMPERATURE}
    for one in views:
        points = {point["key"]: point for point in one["operating_points"]}
        assert {key: point["threshold"] for key, point in points.items()} == THRESHOLDS
        assert points["melanoma"]["codes"] == [MELANOMA]
        assert points["referral"]["codes"] == list(MALIGNANT)


def test_the_guards_limits_and_what_they_refuse(bundle_folder: Path) -> None:
    measures = [{"name": "brightness", "low": 12.5, "high": None}, {"name": "lesion_contrast", "low": -3, "high": None}]
    assert describe(limits={"measures": measures})["guard"]["measures"] == measures

    guard = read_manifest(bundle_folder)["guard"]
    assert [measure["name"] for measure in guard["measures"]] == list(MEASURES)
    assert [row["bad"] for row in guard["refusals"]] == [False, True]
    assert set(guard["refusals"][0]) == {"kind", "bad", "pictures", "refused", "share", "low", "high"}


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


def test_another_variant_only_changes_the_model(
    deployed: Deployed, page_folder: Path, description: dict[str, Any], bundle_folder: Path, tmp_path: Path
) -> None:
    manifest = with_variant(tmp_path / "small", bundle_folder, deployed.variants / "uint8", "uint8")
    write_bundle(tmp_path / "anew", page_folder, deployed.variants / "uint8", "uint8", description)
    before = read_manifest(bundle_folder)

    assert manifest["model"]["variant"] == "uint8"
    assert changed_files(tmp_path / "small") == []
    assert {key for key in manifest if manifest[key] != before[key]} == {"model", "files"}
    assert fingerprint_folder(tmp_path / "small") == fingerprint_folder(tmp_path / "anew")


def test_changed_missing_and_added_files_are_found(bundle_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(bundle_folder, copy)
    (copy / "index.html").write_text("changed")
    (copy / "icon.svg").unlink()
    (copy / "added.js").write_text("")

    assert changed_files(copy) == ["added.js", "icon.svg", "index.html"]


def test_a_service_worker_that_keeps_something_else_is_found(bundle_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(bundle_folder, copy)
    # What it keeps is no longer this manifest.
    (copy / MANIFEST).write_text((copy / MANIFEST).read_text() + "\n")
    assert changed_files(copy) == [SERVICE_WORKER]

    (copy / SERVICE_WORKER).unlink()
    assert changed_files(copy) == [SERVICE_WORKER]


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf"), None, "1"])
def test_an_unusable_temperature_is_refused(temperature: Any) -> None:
    with pytest.raises(InputError, match="temperature"):
        describe(view_calibration={"views": [calibrated_views(1), calibrated_views(2, temperature)]})


def test_an_unusable_threshold_is_refused() -> None:
    unusable = calibrated_views(1, thresholds=dict.fromkeys(THRESHOLDS, float("nan")))

    with pytest.raises(InputError, match="threshold"):
        describe(view_calibration={"views": [unusable]})


def test_an_unusable_limit_is_refused() -> None:
    with pytest.raises(InputError, match="limit of sharpness"):
        describe(limits={"measures": [{"name": "sharpness", "low": float("nan"), "high": None}]})


@pytest.mark.parametrize("counts", [[], [2, 8]])
def test_without_the_single_view_there_is_no_bundle(counts: list[int]) -> None:
    with pytest.raises(InputError, match="single view"):
        describe(view_calibration={"views": [calibrated_views(count) for count in counts]})


def test_nothing_in_the_bundle_points_elsewhere(bundle_folder: Path) -> None:
    page = (bundle_folder / "index.html").read_text()
    style = "".join(file.read_text() for file in bundle_folder.rglob("*.css"))

    assert "http" not in page.replace("http-equiv", "")
    assert "http" not in style
    assert 'src="/' not in page
    assert 'href="/' not in page
    json.loads((bundle_folder / MANIFEST).read_text(), parse_constant=lambda value: pytest.fail(value))
