"""Arrays hold what preprocessing gives, decode only what changed, and never half of anything."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from derma_assets.dataset import image_arrays
from derma_assets.dataset.ham10000 import find_ham10000
from derma_assets.dataset.image_arrays import (
    BuildCounts,
    ImageArrays,
    build_image_arrays,
    build_shard,
    gather_shards,
)
from derma_assets.dataset.manifest import build_manifest
from derma_assets.dataset.preprocessing import model_input, open_picture
from derma_assets.dataset.shards import pictures_of_shard, shard_of
from derma_assets.dataset.stored_rows import StoredRows
from derma_assets.errors import InputError
from derma_assets_tests.dataset.conftest import metadata_of, noise


def manifest_of(folder: Path) -> pd.DataFrame:
    dataset = find_ham10000(folder)
    return build_manifest(metadata_of()["image_id"].tolist(), dataset.pictures, folder, None).table


def test_pixels_are_those_of_preprocessing_in_the_manifests_order(ham_folder: Path, tmp_path: Path) -> None:
    manifest = manifest_of(ham_folder).sample(frac=1, random_state=1)
    counts = build_image_arrays(manifest, 32, tmp_path / "arrays")
    arrays = ImageArrays.open(tmp_path / "arrays")
    assert counts == BuildCounts(decoded=28, reused=0)
    assert arrays.image_ids == manifest["image_id"].tolist()
    assert isinstance(arrays.pixels, StoredRows)
    assert (arrays.pixels.shape, arrays.pixels.dtype, arrays.size) == ((28, 32, 32, 3), np.uint8, 32)
    for row, path in enumerate(manifest["path"]):
        assert (arrays.pixels[row] == model_input(open_picture(Path(path)), 32)).all()


def test_rows_finds_pictures_and_names_an_absent_one(ham_folder: Path, tmp_path: Path) -> None:
    build_image_arrays(manifest_of(ham_folder), 32, tmp_path / "arrays")
    arrays = ImageArrays.open(tmp_path / "arrays")
    assert arrays.rows(["ISIC_0000005", "ISIC_0000000"]).tolist() == [5, 0]
    with pytest.raises(InputError, match="ISIC_x"):
        arrays.rows(["ISIC_0000005", "ISIC_x"])


def test_only_what_changed_is_decoded(ham_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_image_arrays(manifest_of(ham_folder), 32, tmp_path / "first")
    noise(999).save(ham_folder / "HAM10000_images_part_1" / "ISIC_0000002.jpg")
    (ham_folder / "HAM10000_images_part_1" / "ISIC_0000004.jpg").write_bytes(b"")
    changed = manifest_of(ham_folder)
    decoded = []
    decode = image_arrays.decode
    monkeypatch.setattr(image_arrays, "decode", lambda content: decoded.append(1) or decode(content))
    readable = changed[changed["status"] == "ok"]
    counts = build_shard(readable, 32, tmp_path / "second", [tmp_path / "first"])
    assert counts == BuildCounts(decoded=1, reused=26)
    assert len(decoded) == 1
    build_image_arrays(changed, 32, tmp_path / "anew")
    second, anew = ImageArrays.open(tmp_path / "second"), ImageArrays.open(tmp_path / "anew")
    assert (second.pixels[:] == anew.pixels[:]).all()
    assert second.fingerprint == anew.fingerprint != ImageArrays.open(tmp_path / "first").fingerprint


@pytest.mark.parametrize("difference", ["size", "preprocessing", "damaged", "absent"])
def test_an_earlier_version_that_does_not_fit_is_not_used(difference: str, ham_folder: Path, tmp_path: Path) -> None:
    manifest, earlier = manifest_of(ham_folder), tmp_path / "earlier"
    if difference != "absent":
        build_image_arrays(manifest, 40 if difference == "size" else 32, earlier)
    if difference == "preprocessing":
        (earlier / "format.json").write_text(json.dumps({"size": 32, "preprocessing": 0}))
    if difference == "damaged":
        (earlier / "pixels.npy").write_bytes((earlier / "pixels.npy").read_bytes()[:1000])
    assert build_shard(manifest, 32, tmp_path / "arrays", [earlier]).decoded == 28


def test_a_file_changed_behind_the_manifests_back_is_named(ham_folder: Path, tmp_path: Path) -> None:
    manifest = manifest_of(ham_folder)
    noise(999).save(ham_folder / "HAM10000_images_part_1" / "ISIC_0000002.jpg")
    with pytest.raises(InputError, match=r"ISIC_0000002\.jpg has changed since raw_images"):
        build_image_arrays(manifest, 32, tmp_path / "arrays")


def test_no_readable_picture_and_no_arrays_are_said_so(ham_folder: Path, tmp_path: Path) -> None:
    manifest = manifest_of(ham_folder).assign(status="empty")
    with pytest.raises(InputError, match="none of the pictures"):
        build_image_arrays(manifest, 32, tmp_path / "arrays")
    with pytest.raises(InputError, match="materialize image_arrays"):
        ImageArrays.open(tmp_path / "arrays")


def gathered(manifest: pd.DataFrame, shards: int, folder: Path) -> ImageArrays:
    parts = [folder / f"part-{shard}" for shard in range(shards)]
    for shard, part in enumerate(parts):
        build_shard(pictures_of_shard(manifest, shard, shards), 32, part)
    gather_shards(parts, folder / "arrays")
    return ImageArrays.open(folder / "arrays")


def test_any_number_of_shards_gives_the_same(ham_folder: Path, tmp_path: Path) -> None:
    manifest = manifest_of(ham_folder).sample(frac=1, random_state=1)
    one, four, many = (gathered(manifest, shards, tmp_path / str(shards)) for shards in (1, 4, 60))
    assert one.image_ids == four.image_ids == many.image_ids == sorted(manifest["image_id"])
    assert one.fingerprint == four.fingerprint == many.fingerprint
    assert (one.pixels[:] == four.pixels[:]).all()
    assert (one.pixels[:] == many.pixels[:]).all()
    for row, path in enumerate(manifest.sort_values("image_id")["path"]):
        assert (four.pixels[row] == model_input(open_picture(Path(path)), 32)).all()


def test_the_pixels_are_on_the_disk_once(ham_folder: Path, tmp_path: Path) -> None:
    gathered(manifest_of(ham_folder), 4, tmp_path)
    for shard in range(4):
        inodes = {
            (folder / "pixels.npy").stat().st_ino
            for folder in (tmp_path / f"part-{shard}", tmp_path / "arrays" / f"shard-0{shard}")
        }
        assert len(inodes) == 1


def test_shards_are_copied_where_they_cannot_be_linked(
    ham_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked = gathered(manifest_of(ham_folder), 4, tmp_path / "linked")

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    copied = gathered(manifest_of(ham_folder), 4, tmp_path / "copied")
    assert (copied.pixels[:] == linked.pixels[:]).all()


def test_a_new_number_of_shards_decodes_nothing(ham_folder: Path, tmp_path: Path) -> None:
    manifest = manifest_of(ham_folder)
    gathered(manifest, 4, tmp_path)
    for shard in range(3):
        pictures = pictures_of_shard(manifest, shard, 3)
        earlier = [tmp_path / f"part-{shard}", tmp_path / "arrays"]
        assert build_shard(pictures, 32, tmp_path / f"of-three-{shard}", earlier) == BuildCounts(0, len(pictures))


def test_what_is_earlier_is_looked_through_only_while_much_is_missing(ham_folder: Path, tmp_path: Path) -> None:
    manifest = manifest_of(ham_folder)
    build_shard(manifest[1:], 32, tmp_path / "first")

    def earlier() -> object:
        yield tmp_path / "first"
        raise AssertionError("one new picture is no reason to look through everything")

    assert build_shard(manifest, 32, tmp_path / "second", earlier()) == BuildCounts(1, 27)  # type: ignore[arg-type]


def test_shards_that_do_not_belong_together_are_refused(ham_folder: Path, tmp_path: Path) -> None:
    manifest = manifest_of(ham_folder)
    for name, rows, size in (("a", slice(0, 14), 32), ("b", slice(14, 28), 40), ("c", slice(13, 28), 32)):
        build_shard(manifest[rows], size, tmp_path / name)
    build_shard(manifest[:0], 32, tmp_path / "empty")
    for other, told in (("b", "differ in size"), ("c", "is in two shards")):
        with pytest.raises(InputError, match=told):
            gather_shards([tmp_path / "a", tmp_path / other], tmp_path / "arrays")
    with pytest.raises(InputError, match="none of the pictures"):
        gather_shards([tmp_path / "empty"], tmp_path / "arrays")


def test_a_shard_that_is_missing_or_cut_off_is_said_so(ham_folder: Path, tmp_path: Path) -> None:
    gathered(manifest_of(ham_folder), 4, tmp_path)
    pixels = tmp_path / "arrays" / "shard-02" / "pixels.npy"
    pixels.write_bytes(pixels.read_bytes()[:-1])
    with pytest.raises(InputError, match="is not whole"):
        ImageArrays.open(tmp_path / "arrays")
    pixels.unlink()
    with pytest.raises(InputError, match="materialize image_arrays"):
        ImageArrays.open(tmp_path / "arrays")


def test_the_shard_of_a_picture_is_the_same_everywhere() -> None:
    # By hand: the first eight bytes of SHA-256, modulo 8.
    assert [shard_of(f"ISIC_{number:07d}", 8) for number in (24306, 24307, 24308)] == [2, 0, 3]
    counts = np.bincount([shard_of(f"ISIC_{number:07d}", 8) for number in range(8000)])
    assert counts.min() > 850
