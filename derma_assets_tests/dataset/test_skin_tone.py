"""The angle of known colours, what counts as skin, and how far two pictures of one lesion agree."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from skimage.color import lab2rgb, rgb2lab

from derma_assets.dataset.lesion_masks import LesionMasks, build_lesion_masks
from derma_assets.dataset.skin_tone import (
    repeatability,
    skin_pixels,
    skin_tones,
    tone_counts,
    tone_of,
    typology_angle,
)
from derma_assets_tests.dataset.test_lesion_masks import SIZE, disc, write_arrays


def coloured(lightness: float, a: float, b: float) -> np.ndarray:
    """Return a picture of one CIE L*a*b* colour."""
    lab = np.broadcast_to(np.array([lightness, a, b], dtype=np.float64), (SIZE, SIZE, 3))
    return np.round(255 * lab2rgb(lab)).astype(np.uint8)


def test_the_angle_by_hand() -> None:
    lightness, yellowness = np.array([65.0, 50.0, 40.0, 60.0]), np.array([15.0, 10.0, 10.0, -10.0])
    # The last would be -45 by the arctangent of the quotient: the darkest skin, for a pale bluish picture.
    np.testing.assert_allclose(typology_angle(lightness, yellowness), [45.0, 0.0, -45.0, 135.0])


def test_limits_belong_to_the_darker_group() -> None:
    angles = np.array([89.0, 55.1, 55.0, 41.0, 28.0, 10.0, -30.0, -89.0, 90.1, -95.0, np.nan])
    expected = ["very_light", "very_light", "light", "intermediate", "tan", "brown", "dark", "dark"]
    assert tone_of(angles).tolist() == [*expected, "off_scale", "off_scale", "unknown"]


def test_lesion_margin_hair_rim_and_glare_are_no_skin() -> None:
    picture = coloured(70, 10, 18)
    lesion = disc(SIZE, 32, 32, 10)
    picture[lesion] = (60, 40, 30)
    picture[10:12, :] = (50, 40, 35)
    picture[:5, :5] = 8
    picture[50:54, 50:54] = 254
    skin = skin_pixels(picture, lesion, rgb2lab(picture)[..., 0])
    assert not skin[lesion].any()
    assert not skin[32, 32 + 12], "next to the lesion"
    assert not skin[10:12, 20:].any(), "a hair"
    assert not skin[:5, :5].any(), "the lens's rim"
    assert not skin[50:54, 50:54].any(), "glare"
    assert skin[40:48, 50:60].all()
    assert skin[58, 8]


def test_each_picture_gets_the_tone_of_its_skin_not_of_its_lesion(tmp_path: Path) -> None:
    lesion = disc(SIZE, 32, 32, 14)
    # Angles: atan(20 / 16) = 51.3, atan(2 / 20) = 5.7, and a blue cast.
    pictures = np.stack([coloured(70, 10, 16), coloured(52, 12, 20), coloured(75, 8, -8), coloured(70, 10, 16)])
    pictures[:, lesion] = (70, 45, 35)
    pictures[3] = 0
    arrays = write_arrays(tmp_path / "arrays", pictures, list("abcd"))
    build_lesion_masks(arrays, {}, tmp_path / "masks", None)
    tones = skin_tones(arrays, LesionMasks.open(tmp_path / "masks"))
    assert tones["image_id"].tolist() == arrays.image_ids
    assert tones["tone"].tolist() == ["light", "brown", "off_scale", "unknown"]
    np.testing.assert_allclose(tones["ita"][:2], [51.3, 5.7], atol=1.5)
    np.testing.assert_allclose(tones["yellowness"][:3], [16, 20, -8], atol=0.6)
    assert tones.loc[3, ["ita", "lightness", "yellowness"]].isna().all()
    assert tones["skin"].between(0.5, 0.85).tolist() == [True, True, True, False]


def test_two_pictures_of_one_lesion_are_compared_once() -> None:
    tones = pd.DataFrame(
        {
            "image_id": list("abcdefg"),
            "ita": [60.0, 50.0, 10.0, 20.0, 45.0, 0.0, np.nan],
            "tone": ["very_light", "light", "brown", "tan", "light", "brown", "unknown"],
        }
    )
    lesions = pd.Series(dict(zip("abcdefg", ["x", "x", "y", "y", "z", "y", "z"], strict=True)))
    found = repeatability(tones, lesions)
    assert found["lesions"] == 2, "z has one known picture, and the third of y is left out"
    assert found["median_difference"] == 10
    assert found["same_tone"] == 0
    # Means 55 and 15: variance between 2 * 800, within 50.
    assert found["correlation"] == pytest.approx((1600 - 50) / (1600 + 50))
    assert np.isnan(repeatability(tones.head(1), lesions)["correlation"])


def test_tones_are_counted_with_how_they_were_confirmed() -> None:
    tones = pd.DataFrame({"image_id": list("abc"), "ita": 1.0, "tone": ["light", "light", "unknown"]})
    metadata = pd.DataFrame(
        {"image_id": list("abc"), "lesion_id": ["x", "x", "y"], "dx_type": ["histo", "follow_up", "histo"]}
    )
    counts = tone_counts(tones, metadata)
    assert counts["tone"].tolist() == ["light", "unknown"]
    assert counts[["pictures", "lesions"]].to_numpy().tolist() == [[2, 1], [1, 1]]
    assert counts["follow_up"].tolist() == [0.5, 0.0]
