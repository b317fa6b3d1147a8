"""Arrays hold what preprocessing gives, decode only what changed, and never half of anything."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derma_assets.dataset import image_arrays
from derma_assets.dataset.ham10000 import find_ham10000
from derma_assets.dataset.image_arrays import BuildCounts, ImageArrays, build_image_arrays
from derma_assets.dataset.manifest import build_manifest
from derma_assets.dataset.preprocessing import model_input, open_picture
from derma_assets.errors import InputError
from derma_assets_tests.dataset.conftest import metadata_of, noise


def manifest_of(folder: Path) -> pd.DataFrame:
    dataset = find_ham10000(folder)
    return build_manifest(metadata_of()["image_id"].tolist(), dataset.pictures, folder, None).table


def test_pixels_are_those_of_preprocessing_in_the_manifests_order(ham_folder: Path, tmp_path: Path) -> None:
    manifest = manifest_of(ham_folder).sample(frac=1, random_state=1)
    counts = build_image_arrays(manifest, 32, tmp_path / "arrays", None)
    arrays = ImageArrays.open(tmp_path / "arrays")
    assert counts == BuildCounts(decoded=28, reused=0)
    assert arrays.image_ids == manifest["image_id"].tolist()
    assert isinstance(arrays.pixels, np.memmap)
    assert (arrays.pixels.shape, arrays.pixels.dtype, arrays.size) == ((28, 32, 32, 3), np.uint8, 32)
    for row, path in enumerate(manifest["path"]):
        assert (arrays.pixels[row] == model_input(open_picture(Path(path)), 32)).all()


def test_rows_finds_pictures_and_names_an_absent_one(ham_folder: Path, tmp_path: Path) -> None:
    build_image_arrays(manifest_of(ham_folder), 32, tmp_path / "arrays", None)
    arrays = ImageArrays.open(tmp_path / "arrays")
    assert arrays.rows(["ISIC_0000005", "ISIC_0000000"]).tolist() == [5, 0]
    with pytest.raises(InputError, match="ISIC_x"):
        arrays.rows(["ISIC_0000005", "ISIC_x"])


def test_only_what_changed_is_decoded(ham_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_image_arrays(manifest_of(ham_folder), 32, tmp_path / "first", None)
    noise(999).save(ham_folder / "HAM10000_images_part_1" / "ISIC_0000002.jpg")
    (ham_folder / "HAM10000_images_part_1" / "ISIC_0000004.jpg").write_bytes(b"")
    changed = manifest_of(ham_folder)
    decoded = []
    decode = image_arrays.decode
    monkeypatch.setattr(image_arrays, "decode", lambda content: decoded.append(1) or decode(content))
    counts = build_image_arrays(changed, 32, tmp_path / "second", tmp_path / "first")
    assert counts == BuildCounts(decoded=1, reused=26)
    assert len(decoded) == 1
    build_image_arrays(changed, 32, tmp_path / "anew", None)
    second, anew = ImageArrays.open(tmp_path / "second"), ImageArrays.open(tmp_path / "anew")
    assert (second.pixels == anew.pixels).all()
    assert second.fingerprint == anew.fingerprint != ImageArrays.open(tmp_path / "first").fingerprint


@pytest.mark.parametrize("difference", ["size", "preprocessing", "damaged", "absent"])
def test_an_earlier_version_that_does_not_fit_is_not_used(difference: str, ham_folder: Path, tmp_path: Path) -> None:
    manifest, earlier = manifest_of(ham_folder), tmp_path / "earlier"
    if difference != "absent":
        build_image_arrays(manifest, 40 if difference == "size" else 32, earlier, None)
    if difference == "preprocessing":
        (earlier / "format.json").write_text(json.dumps({"size": 32, "preprocessing": 0}))
    if difference == "damaged":
        (earlier / "pixels.npy").write_bytes((earlier / "pixels.npy").read_bytes()[:1000])
    assert build_image_arrays(manifest, 32, tmp_path / "arrays", earlier).decoded == 28


def test_a_file_changed_behind_the_manifests_back_is_named(ham_folder: Path, tmp_path: Path) -> None:
    manifest = manifest_of(ham_folder)
    noise(999).save(ham_folder / "HAM10000_images_part_1" / "ISIC_0000002.jpg")
    with pytest.raises(InputError, match=r"ISIC_0000002\.jpg has changed since raw_images"):
        build_image_arrays(manifest, 32, tmp_path / "arrays", None)


def test_no_readable_picture_and_no_arrays_are_said_so(ham_folder: Path, tmp_path: Path) -> None:
    manifest = manifest_of(ham_folder).assign(status="empty")
    with pytest.raises(InputError, match="none of the pictures"):
        build_image_arrays(manifest, 32, tmp_path / "arrays", None)
    with pytest.raises(InputError, match="materialize image_arrays"):
        ImageArrays.open(tmp_path / "arrays")
