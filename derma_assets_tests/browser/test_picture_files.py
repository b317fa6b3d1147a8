"""Picture files of every kind that a phone or a dermatoscope writes, decoded by the page as Python decodes them."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from derma_assets.browser.chromium import open_bundle
from derma_assets.browser.parity import PictureFile, preprocess_in_page
from derma_assets.browser.serve import serving
from derma_assets.dataset.preprocessing import decode, model_input
from derma_assets_tests.browser.conftest import SIZE

pytestmark = pytest.mark.browser

UPRIGHT_AFTER_A_TURN = 6


@pytest.fixture(scope="module")
def page(browser: Any, bundle_folder: Path) -> Iterator[Any]:
    with serving(bundle_folder) as address:
        opened = open_bundle(browser, address)
        yield opened
        opened.close()


def smooth(width: int = 640, height: int = 480) -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def heic(picture: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(picture).save(buffer, quality=90, **options)
    return buffer.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = UPRIGHT_AFTER_A_TURN
    return exif.tobytes()


LOSSLESS: dict[str, Callable[[], bytes]] = {
    "webp": lambda: encoded(smooth(), "WEBP", lossless=True),
    "tiff": lambda: encoded(smooth(), "TIFF"),
    "tiff lzw": lambda: encoded(smooth(), "TIFF", compression="tiff_lzw"),
    "tiff deflate": lambda: encoded(smooth(), "TIFF", compression="tiff_adobe_deflate"),
    "tiff grey": lambda: encoded(smooth().convert("L"), "TIFF"),
    "tiff palette": lambda: encoded(smooth().quantize(64), "TIFF"),
    "tiff alpha": lambda: encoded(smooth().convert("RGBA"), "TIFF"),
}
LOSSY: dict[str, Callable[[], bytes]] = {
    "avif": lambda: encoded(smooth(), "AVIF", quality=90),
    "jpeg turned": lambda: encoded(smooth(), "JPEG", quality=95, exif=turned()),
}


def input_of(page: Any, content: bytes, mime_type: str = "") -> np.ndarray:
    return preprocess_in_page(page, PictureFile(content, mime_type, exact=True), SIZE)


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_lossless_file_gives_pythons_pixels(page: Any, name: str) -> None:
    content = LOSSLESS[name]()

    np.testing.assert_array_equal(input_of(page, content), model_input(decode(content), SIZE))


@pytest.mark.parametrize("name", LOSSY)
def test_a_lossy_file_gives_pythons_pixels_within_rounding(page: Any, name: str) -> None:
    content = LOSSY[name]()
    expected = model_input(decode(content), SIZE).astype(float)

    assert np.abs(input_of(page, content) - expected).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_webp_is_turned_upright(page: Any, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(smooth(), "WEBP", lossless=True, exif=exif.tobytes())

    np.testing.assert_array_equal(input_of(page, content), model_input(decode(content), SIZE))


@pytest.mark.parametrize("exif", [None, turned()], ids=["upright", "turned"])
def test_an_iphones_heic_is_decoded_and_upright(page: Any, exif: bytes | None) -> None:
    content = heic(smooth(), exif=exif)
    # Lossy by nature: what libheif gives Python is the reference, turned as its own metadata says.
    reference = pillow_heif.open_heif(io.BytesIO(content)).to_pillow()
    expected = model_input(reference, SIZE).astype(float)

    assert np.abs(input_of(page, content) - expected).max() <= 3


def test_a_photograph_of_fifty_megapixels_is_decoded(page: Any) -> None:
    content = encoded(smooth(8660, 5774), "JPEG", quality=85)
    expected = model_input(decode(content), SIZE).astype(float)

    # Reduced before it is cut, so not bit for bit.
    assert np.abs(input_of(page, content, "image/jpeg") - expected).mean() < 1


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"this is a letter", "not_a_picture"),
        (b"", "not_a_picture"),
        (encoded(smooth(), "JPEG")[:3000], "not_a_picture"),
        (encoded(smooth().convert("CMYK"), "TIFF"), "tiff_failed"),
        (encoded(smooth(), "TIFF")[:5000], "tiff_failed"),
        (heic(smooth())[:2000], "heic_failed"),
    ],
    ids=["letter", "empty", "cut jpeg", "CMYK tiff", "cut tiff", "cut heic"],
)
def test_a_file_that_cannot_be_read_says_why(page: Any, content: bytes, code: str) -> None:
    found = page.evaluate(
        """async (bytes) => {
          try { await window.derma.preprocess(new Blob([new Uint8Array(bytes)])); return "decoded"; }
          catch (error) { return error.problem.code; }
        }""",
        list(content),
    )

    assert found == code
