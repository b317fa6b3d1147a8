"""Masks are cut as pictures are, taken from the data set where it has them, estimated where not, and made once."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derma_assets.dataset.image_arrays import FORMAT, INDEX, PIXELS, ImageArrays
from derma_assets.dataset.lesion_masks import (
    ESTIMATED,
    GIVEN,
    LesionMasks,
    MaskCounts,
    agreement_summary,
    build_lesion_masks,
    cut_mask,
    dice,
    estimate_agreement,
    estimated_mask,
    lens_rim,
)
from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION, model_input
from derma_assets.errors import InputError

SIZE = 64


def disc(size: int, row: float, column: float, radius: float) -> np.ndarray:
    y, x = np.mgrid[:size, :size] + 0.5
    return np.hypot(y - row, x - column) < radius


def skin_with(lesion: np.ndarray, colour: tuple[int, int, int] = (90, 60, 45)) -> np.ndarray:
    """Return noisy bare skin with a lesion of one colour."""
    picture = np.where(lesion[..., None], colour, (225, 180, 160)).astype(float)
    return np.clip(picture + np.random.default_rng(0).normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_mask_is_cut_as_its_picture_is() -> None:
    wide = np.zeros((90, 120), np.uint8)
    wide[20:50, 31:71] = 255
    as_picture = model_input(Image.fromarray(np.stack([wide] * 3, axis=-1)), 45)[..., 1]
    cut = cut_mask(png(wide), 45)
    np.testing.assert_array_equal(cut, as_picture >= 128)
    # 15 columns are cut off each side, then the sides are halved.
    expected = np.zeros((45, 45), dtype=bool)
    expected[10:25, 8:28] = True
    np.testing.assert_array_equal(cut, expected)


def test_a_mask_of_one_bit_and_one_of_colour_are_read(tmp_path: Path) -> None:
    lesion = disc(SIZE, 32, 32, 12)
    one_bit = io.BytesIO()
    Image.fromarray(lesion).save(one_bit, "PNG")
    np.testing.assert_array_equal(cut_mask(one_bit.getvalue(), SIZE), lesion)
    np.testing.assert_array_equal(cut_mask(png(np.stack([255 * lesion] * 3, axis=-1).astype(np.uint8)), SIZE), lesion)
    with pytest.raises(InputError, match=r"m\.png cannot be read.*unpack it again"):
        cut_mask(b"no picture", SIZE, tmp_path / "m.png")


@pytest.mark.parametrize("size", [48, 64, 128])
def test_a_lesion_is_found_despite_hair_a_dark_rim_and_a_second_spot(size: int) -> None:
    lesion = disc(size, 0.45 * size, 0.55 * size, 0.2 * size)
    spot = disc(size, 0.12 * size, 0.85 * size, 0.05 * size)
    picture = skin_with(lesion | spot)
    picture[:, size // 3] = (40, 30, 25)
    picture[~disc(size, size / 2, size / 2, 0.62 * size)] = 5
    found = estimated_mask(picture)
    assert dice(found[None], lesion[None])[0] > 0.9
    assert not (found & spot).any()


def test_a_hole_is_filled_and_an_edge_is_not_eaten() -> None:
    ring = disc(SIZE, 32, 32, 16) & ~disc(SIZE, 32, 32, 7)
    assert estimated_mask(skin_with(ring))[32, 32]
    at_the_edge = disc(SIZE, 32, 6, 20)
    assert estimated_mask(skin_with(at_the_edge))[32, 0]


def test_where_all_pixels_are_alike_there_is_no_lesion() -> None:
    assert not estimated_mask(np.full((SIZE, SIZE, 3), 200, np.uint8)).any()
    assert not estimated_mask(np.zeros((SIZE, SIZE, 3), np.uint8)).any()


def test_only_dark_corners_are_the_lenss_rim() -> None:
    picture = np.full((SIZE, SIZE, 3), 180, np.uint8)
    assert not lens_rim(picture).any()
    picture[disc(SIZE, 32, 32, 10)] = 20
    assert not lens_rim(picture).any(), "dark, but in the middle"
    picture[:6, :6] = 10
    rim = lens_rim(picture)
    assert rim[:6, :6].all()
    assert not rim[32, 32]


def test_dice_by_hand() -> None:
    one = np.zeros((3, 4, 4), dtype=bool)
    other = one.copy()
    one[0, :2], other[0, 1:3] = True, True  # 8 and 8 pixels, 4 in common
    one[1] = True
    np.testing.assert_allclose(dice(one, other), [0.5, 0.0, 1.0])


def write_arrays(folder: Path, pictures: np.ndarray, digests: list[str]) -> ImageArrays:
    folder.mkdir()
    np.save(folder / PIXELS, pictures)
    names = [f"ISIC_{n}" for n in range(len(pictures))]
    pd.DataFrame({"image_id": names, "sha256": digests}).to_parquet(folder / INDEX)
    (folder / FORMAT).write_text(json.dumps({"size": pictures.shape[1], "preprocessing": PREPROCESSING_VERSION}))
    return ImageArrays.open(folder)


@pytest.fixture
def arrays(tmp_path: Path) -> ImageArrays:
    """Three lesions, in different places."""
    pictures = [skin_with(disc(SIZE, 32, 24 + 8 * n, 14)) for n in range(3)]
    return write_arrays(tmp_path / "arrays", np.stack(pictures), ["a", "b", "c"])


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The data set's masks of the first two."""
    found = {}
    for n in range(2):
        found[f"ISIC_{n}"] = tmp_path / f"ISIC_{n}_segmentation.png"
        found[f"ISIC_{n}"].write_bytes(png((255 * disc(SIZE, 32, 24 + 8 * n, 14)).astype(np.uint8)))
    return found


def test_given_masks_are_taken_and_the_others_estimated(
    arrays: ImageArrays, files: dict[str, Path], tmp_path: Path
) -> None:
    assert build_lesion_masks(arrays, files, tmp_path / "masks", None) == MaskCounts(made=3, reused=0)
    masks = LesionMasks.open(tmp_path / "masks")
    assert masks.masks.dtype == bool
    assert masks.index["source"].tolist() == [GIVEN, GIVEN, ESTIMATED]
    np.testing.assert_array_equal(masks.masks[1], disc(SIZE, 32, 32, 14))
    np.testing.assert_array_equal(masks.masks[2], estimated_mask(arrays.pixels[2]))
    np.testing.assert_array_equal(masks.of(["ISIC_2", "ISIC_0"])[:], masks.masks[[2, 0]])
    np.testing.assert_allclose(masks.shares(), masks.masks[:].mean(axis=(1, 2)))
    with pytest.raises(InputError, match="ISIC_x"):
        masks.of(["ISIC_x"])


def test_only_what_changed_is_made_again(arrays: ImageArrays, files: dict[str, Path], tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    build_lesion_masks(arrays, files, first, None)
    assert build_lesion_masks(arrays, files, tmp_path / "same", first) == MaskCounts(made=0, reused=3)
    assert LesionMasks.open(tmp_path / "same").fingerprint == LesionMasks.open(first).fingerprint
    files["ISIC_0"].write_bytes(png((255 * disc(SIZE, 20, 20, 9)).astype(np.uint8)))
    changed = write_arrays(tmp_path / "changed", arrays.pixels[:], ["a", "b", "another"])
    assert build_lesion_masks(changed, files, second, first) == MaskCounts(made=2, reused=1)
    np.testing.assert_array_equal(LesionMasks.open(second).masks[0], disc(SIZE, 20, 20, 9))
    assert LesionMasks.open(second).fingerprint != LesionMasks.open(first).fingerprint


def test_masks_of_another_size_are_not_used(arrays: ImageArrays, tmp_path: Path) -> None:
    build_lesion_masks(arrays, {}, tmp_path / "first", None)
    smaller = write_arrays(tmp_path / "smaller", arrays.pixels[:][:, ::2, ::2], ["a", "b", "c"])
    assert build_lesion_masks(smaller, {}, tmp_path / "second", tmp_path / "first").made == 3


def test_a_missing_file_and_a_damaged_folder_are_said_so(arrays: ImageArrays, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png cannot be read"):
        build_lesion_masks(arrays, {"ISIC_0": tmp_path / "gone.png"}, tmp_path / "masks", None)
    with pytest.raises(InputError, match="materialize lesion_masks"):
        LesionMasks.open(tmp_path / "nothing")


def test_the_estimate_is_compared_once_a_lesion_where_there_is_a_mask(
    arrays: ImageArrays, files: dict[str, Path], tmp_path: Path
) -> None:
    build_lesion_masks(arrays, files, tmp_path / "masks", None)
    masks = LesionMasks.open(tmp_path / "masks")
    lesions = pd.Series({"ISIC_0": "L0", "ISIC_1": "L1", "ISIC_2": "L2"})
    agreement = estimate_agreement(arrays, masks, lesions, 10)
    assert agreement["image_id"].tolist() == ["ISIC_0", "ISIC_1"]
    estimate = estimated_mask(arrays.pixels[1])
    given = masks.masks[1]
    assert agreement["dice"].iloc[1] == pytest.approx(dice(estimate[None], given[None])[0])
    assert agreement["iou"].iloc[1] == pytest.approx((estimate & given).sum() / (estimate | given).sum())
    same_lesion = pd.Series({"ISIC_0": "L0", "ISIC_1": "L0", "ISIC_2": "L2"})
    assert len(estimate_agreement(arrays, masks, same_lesion, 10)) == 1
    assert len(estimate_agreement(arrays, masks, lesions, 1)) == 1
    build_lesion_masks(arrays, {}, tmp_path / "none", None)
    nothing = estimate_agreement(arrays, LesionMasks.open(tmp_path / "none"), lesions, 10)
    assert agreement_summary(nothing) == {"compared_lesions": 0}


def test_the_agreement_is_summed_up_with_its_interval() -> None:
    agreement = pd.DataFrame({"dice": [0.4, 0.8, 0.9], "iou": [0.25, 0.6, 0.8]})
    summary = agreement_summary(agreement)
    assert summary["dice"] == pytest.approx(0.7)
    # Deviation 0.2646, standard error 0.1528.
    assert summary["dice_high"] == pytest.approx(0.7 + 1.96 * 0.15275, abs=1e-4)
    assert summary["dice_below_half"] == pytest.approx(1 / 3)
    assert summary["compared_lesions"] == 3
