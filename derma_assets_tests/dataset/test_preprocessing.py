"""Every kind of picture file ends as the same 8-bit RGB, or is refused with its kind of fault."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from derma_assets.dataset.preprocessing import PictureError, decode, model_input, open_picture, to_rgb
from derma_assets.errors import InputError
from derma_assets_tests.dataset.conftest import noise


def encoded(picture: Image.Image, ending: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, ending, **options)
    return buffer.getvalue()


def pixels_of(content: bytes) -> np.ndarray:
    picture = to_rgb(decode(content))
    assert picture.mode == "RGB"
    return np.asarray(picture).astype(int)


def test_sixteen_bit_grey_keeps_the_upper_eight_bits() -> None:
    grey = (np.arange(64 * 48).reshape(48, 64) * 21).astype(np.uint16)
    pixels = pixels_of(encoded(Image.fromarray(grey), "PNG"))
    assert (pixels == (grey >> 8)[..., None]).all()


def test_sixteen_bit_tiff_and_pgm_agree_with_png() -> None:
    grey = (np.arange(64 * 48).reshape(48, 64) * 21).astype(np.uint16)
    png = pixels_of(encoded(Image.fromarray(grey), "PNG"))
    assert (pixels_of(encoded(Image.fromarray(grey), "TIFF")) == png).all()
    pgm = b"P5 64 48 65535\n" + grey.astype(">u2").tobytes()
    assert (pixels_of(pgm) == png).all()


def test_cmyk_looks_as_the_rgb_it_was_made_from() -> None:
    picture = noise(3)
    pixels = pixels_of(encoded(picture.convert("CMYK"), "JPEG", quality=98, subsampling=0))
    assert np.abs(pixels - np.asarray(picture).astype(int)).mean() < 6


def test_palette_without_and_with_transparency() -> None:
    palette = noise(4).quantize(16)
    assert (pixels_of(encoded(palette, "PNG")) == np.asarray(palette.convert("RGB"))).all()
    clear = pixels_of(encoded(palette, "PNG", transparency=bytes(16)))
    assert (clear == 255).all(), "a wholly transparent picture is white"


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_lie_over_white(mode: str) -> None:
    picture = noise(5).convert(mode)
    picture.putalpha(Image.new("L", picture.size, 0))
    assert (pixels_of(encoded(picture, "PNG")) == 255).all()


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_becomes_rgb(mode: str) -> None:
    picture = noise(6).convert(mode)
    assert (pixels_of(encoded(picture, "PNG"))[..., 0] == np.asarray(picture.convert("L"))).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}[orientation]
    picture = noise(7)
    path = tmp_path / "turned.png"
    picture.save(path, exif=exif)
    expected = picture if turned is None else picture.transpose(Image.Transpose(turned))
    opened = open_picture(path)
    assert (np.asarray(opened) == np.asarray(expected)).all()
    assert (model_input(opened, 32) == model_input(expected, 32)).all(), "not turned a second time"


def test_model_input_is_the_scaled_centre_square() -> None:
    picture = noise(8, 101, 60)
    expected = picture.crop((20, 0, 80, 60)).resize((32, 32), Image.Resampling.BILINEAR)
    seen = model_input(picture, 32)
    assert (seen.shape, seen.dtype) == ((32, 32, 3), np.uint8)
    assert (seen == np.asarray(expected)).all()


@pytest.mark.parametrize("ending", ["JPEG", "PNG"])
def test_every_cut_is_noticed(ending: str) -> None:
    content = encoded(noise(9), ending)
    whole = decode(content)
    for length in [*range(20, len(content) - 60, 53), *range(len(content) - 60, len(content) - 12)]:
        fault = None
        try:
            picture = decode(content[:length])
        except PictureError as error:
            fault = error.kind
        if fault is None:
            # Only what follows the last pixel is missing, such as a PNG's closing checksum.
            assert length > len(content) - 30
            assert (np.asarray(picture) == np.asarray(whole)).all()
        else:
            assert fault == "truncated"


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"", "empty"), (b"these are words, not a picture\n" * 9, "not_a_picture"), (bytes(500), "not_a_picture")],
)
def test_what_is_no_picture_is_named(content: bytes, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "ISIC_1.jpg"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=r"ISIC_1\.jpg") as caught:
        open_picture(path)
    assert caught.value.kind == kind


def test_floating_point_is_refused_and_a_missing_file_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="colour mode F"):
        to_rgb(Image.fromarray(np.zeros((9, 9), np.float32)))
    with pytest.raises(InputError, match=r"gone\.jpg: there is no such file"):
        open_picture(tmp_path / "gone.jpg")
