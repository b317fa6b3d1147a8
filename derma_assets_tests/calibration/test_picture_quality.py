import json
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

from derma_assets.browser.web_build import SOURCES, run_node
from derma_assets.calibration.picture_quality import QUALITY_MEASURES, brightness, lesion_contrast, sharpness
from derma_assets.dataset.preprocessing import model_input
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES


def lesions(size: int) -> list[np.ndarray]:
    """Return generated lesions of every diagnosis, as the model would see them."""
    return [model_input(draw_picture(code, seed, 0), size) for seed in range(2) for code in CODES]


def skin(size: int = 96) -> np.ndarray:
    """Return evenly lit skin with a grain, and nothing on it."""
    grain = np.random.default_rng(0).normal(0, 4, (size, size, 1))
    return np.clip(np.array([220, 170, 150]) + grain, 0, 255).astype(np.uint8)


def with_lesion(picture: np.ndarray, colour: tuple[int, int, int], radius: float) -> np.ndarray:
    """Return the picture with a disc in its middle; `radius` is a share of the side."""
    y, x = (np.mgrid[: len(picture), : len(picture)] + 0.5) / len(picture) - 0.5
    return np.where((np.hypot(x, y) < radius)[..., np.newaxis], np.array(colour, dtype=np.uint8), picture)


def test_by_hand() -> None:
    grey = np.full((16, 16, 3), 100, np.uint8)
    assert {name: measure(grey) for name, measure in QUALITY_MEASURES.items()} == {
        "brightness": 100.0,
        "sharpness": 0.0,
        "lesion_contrast": 0.0,
    }
    dot = grey.copy()
    dot[8, 8] = 110
    # One pixel of 196 sees -40, its four neighbours 10: the squares add up to 2000, the values to nothing.
    assert sharpness(dot) == pytest.approx(2000 / 196)
    assert brightness(dot) == pytest.approx(100 + 10 / 256)
    coloured = grey.copy()
    coloured[..., 1] = 50
    assert brightness(coloured) == pytest.approx(100 - 0.587 * 50)
    # Blocks are single pixels here; four in the middle differ by (3, 4, 12) in red, green and blue.
    spotted = grey.copy()
    spotted[7:9, 7:9] = (103, 104, 112)
    assert lesion_contrast(spotted) == pytest.approx(13)
    spotted[8, 8] = 100
    assert lesion_contrast(spotted) == 0, "three blocks are no lesion"


@pytest.mark.parametrize("colour", [(110, 70, 60), (200, 90, 100), (110, 120, 140), (245, 225, 215)])
def test_a_lesion_of_any_colour_stands_out_of_the_skin(colour: tuple[int, int, int]) -> None:
    bare = lesion_contrast(skin())
    assert bare < 5
    assert lesion_contrast(with_lesion(skin(), colour, 0.15)) > 10 * bare


def test_hairs_dark_corners_and_falling_light_are_no_lesion() -> None:
    hairy = skin()
    hairy[:, 20:80:15] = 40
    y, x = (np.mgrid[:96, :96] + 0.5) / 96 - 0.5
    vignette = skin() * np.where(np.hypot(x, y) < 0.6, 1, 0.1)[..., np.newaxis]
    falling = skin() * np.linspace(0.9, 1.0, 96)[:, np.newaxis, np.newaxis]
    lesion = lesion_contrast(with_lesion(skin(), (110, 70, 60), 0.1))
    for picture in (hairy, vignette, falling):
        assert lesion_contrast(picture.astype(np.uint8)) < 0.35 * lesion


def test_blur_takes_sharpness_and_little_else() -> None:
    for picture in lesions(128):
        blurred = scipy.ndimage.gaussian_filter(picture, (3, 3, 0))
        assert sharpness(blurred) < 0.1 * sharpness(picture)
        assert brightness(blurred) == pytest.approx(brightness(picture), abs=2)


@pytest.mark.parametrize("size", [32, 96, 100, 128])
def test_the_page_measures_the_same(size: int, tmp_path: Path) -> None:
    draw = np.random.default_rng(size)
    pictures = [
        *lesions(size),
        *(draw.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(4)),
        np.zeros((size, size, 3), np.uint8),
        np.full((size, size, 3), 255, np.uint8),
    ]
    (tmp_path / "pictures.bin").write_bytes(b"".join(picture.tobytes() for picture in pictures))
    (tmp_path / "measure.mjs").write_text(
        f"""
        import {{ readFileSync }} from "node:fs";
        import {{ measureQuality }} from {json.dumps((SOURCES / "src/picture/quality.ts").as_uri())};
        const pictures = new Uint8Array(readFileSync("pictures.bin"));
        const length = {size * size * 3};
        const found = [];
        for (let at = 0; at < pictures.length; at += length) {{
          found.push(measureQuality(pictures.subarray(at, at + length), {size}));
        }}
        console.log(JSON.stringify(found));
        """
    )
    found = json.loads(run_node(tmp_path, "measure.mjs"))
    assert len(found) == len(pictures)

    for name, measure in QUALITY_MEASURES.items():
        expected = [measure(picture) for picture in pictures]
        np.testing.assert_allclose([one[name] for one in found], expected, rtol=1e-9, atol=0, err_msg=name)
