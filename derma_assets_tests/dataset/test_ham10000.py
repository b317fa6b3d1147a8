"""The files are found however they are nested; what is missing is named with what to do."""

import shutil
from pathlib import Path

import pytest

from derma_assets.dataset.ham10000 import find_ham10000
from derma_assets.errors import InputError


def test_part_folders(ham_folder: Path) -> None:
    found = find_ham10000(ham_folder)
    assert found.metadata == ham_folder / "HAM10000_metadata.csv"
    assert len(found.pictures) == 28
    assert found.pictures["ISIC_0000001"] == ham_folder / "HAM10000_images_part_2" / "ISIC_0000001.jpg"


def test_one_deep_folder_other_endings_and_metadata_without_ending(ham_folder: Path) -> None:
    deep = ham_folder / "a" / "b" / "pictures"
    deep.mkdir(parents=True)
    for number, file in enumerate(sorted(ham_folder.rglob("*.jpg"))):
        file.rename(deep / file.with_suffix([".jpg", ".JPG", ".jpeg", ".png"][number % 4]).name)
    (ham_folder / "HAM10000_metadata.csv").rename(ham_folder / "a" / "HAM10000_metadata")
    found = find_ham10000(ham_folder)
    assert found.metadata.name == "HAM10000_metadata"
    assert len(found.pictures) == 28


def test_masks_and_what_macos_leaves_are_no_pictures(ham_folder: Path) -> None:
    masks = ham_folder / "HAM10000_segmentations_lesion_tschandl"
    masks.mkdir()
    (masks / "ISIC_0000001_segmentation.png").write_bytes(b"mask")
    trash = ham_folder / "__MACOSX"
    trash.mkdir()
    (trash / "ISIC_0000099.jpg").write_bytes(b"trash")
    (ham_folder / "._ISIC_0000098.jpg").write_bytes(b"trash")
    assert len(find_ham10000(ham_folder).pictures) == 28


def test_masks_are_found_by_their_pictures_name_however_deep(ham_folder: Path) -> None:
    assert find_ham10000(ham_folder).masks == {}
    masks = ham_folder / "HAM10000_segmentations_lesion_tschandl" / "HAM10000_segmentations_lesion_tschandl"
    masks.mkdir(parents=True)
    (masks / "ISIC_0000001_segmentation.png").write_bytes(b"mask")
    (masks / "._ISIC_0000002_segmentation.png").write_bytes(b"trash")
    assert find_ham10000(ham_folder).masks == {"ISIC_0000001": masks / "ISIC_0000001_segmentation.png"}


def test_the_folder_may_be_a_link_and_relative(
    ham_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(ham_folder)
    monkeypatch.chdir(tmp_path)
    found = find_ham10000(Path("link"))
    assert len(found.pictures) == 28
    assert found.metadata.is_absolute()


def test_csv_comes_before_tab_and_two_places_are_ambiguous(ham_folder: Path) -> None:
    shutil.copy(ham_folder / "HAM10000_metadata.csv", ham_folder / "HAM10000_metadata.tab")
    assert find_ham10000(ham_folder).metadata.suffix == ".csv"
    for name in ("x", "y"):
        (ham_folder / name).mkdir()
        shutil.copy(ham_folder / "HAM10000_metadata.csv", ham_folder / name)
    assert find_ham10000(ham_folder).metadata.parent == ham_folder, "the nearest one"
    (ham_folder / "HAM10000_metadata.csv").unlink()
    (ham_folder / "HAM10000_metadata.tab").unlink()
    with pytest.raises(InputError, match="several metadata tables"):
        find_ham10000(ham_folder)


def test_what_is_missing_is_named(ham_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder .*gone.*DERMA_HAM10000_DIR"):
        find_ham10000(tmp_path / "gone")
    with pytest.raises(InputError, match="is a file, not a folder"):
        find_ham10000(ham_folder / "HAM10000_metadata.csv")
    for file in ham_folder.rglob("*.jpg"):
        file.unlink()
    with pytest.raises(InputError, match=r"no pictures .*HAM10000_images_part_1\.zip"):
        find_ham10000(ham_folder)
    (ham_folder / "HAM10000_metadata.csv").unlink()
    with pytest.raises(InputError, match=r"no HAM10000_metadata\.csv"):
        find_ham10000(ham_folder)
