"""From the bytes of a picture to the pixels the model sees. The browser page repeats `model_input` bit for bit.

Steps: EXIF orientation, 8-bit RGB, centre square crop, Pillow's antialiased triangle filter to (size, size).
Colour profiles are ignored, as they are in the page.
"""

import io
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from derma_assets.errors import InputError

# Raise it whenever a change here can change a pixel: arrays made by another version are then decoded again.
PREPROCESSING_VERSION = 1

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")


class PictureError(InputError):
    """A file is not a picture that can be decoded completely.

    Attributes:
        kind: What is wrong, as the manifest's column `status` says it.
    """

    def __init__(self, kind: Literal["empty", "truncated", "not_a_picture"], message: str) -> None:
        super().__init__(message)
        self.kind = kind


def decode(content: bytes) -> Image.Image:
    """Decode a whole picture as its file holds it: mode, size and orientation are left alone.

    Raises:
        PictureError: `content` is empty, cut off or damaged, or no picture at all.
    """
    if not content:
        raise PictureError("empty", "the file has no bytes")
    assert not ImageFile.LOAD_TRUNCATED_IMAGES, "Pillow is set to accept truncated pictures"
    try:
        picture = Image.open(io.BytesIO(content))
    except Image.DecompressionBombError as error:
        raise PictureError("not_a_picture", f"not a usable picture: {error}") from error
    except Exception as error:  # Pillow's readers raise nearly anything on bytes that only look like a picture.
        if content.startswith(_SIGNATURES):
            raise PictureError("truncated", f"cut off within its header: {_words(error)}") from error
        raise PictureError("not_a_picture", f"not a picture (starts with {content[:12]!r})") from error
    try:
        picture.load()
    except Exception as error:
        raise PictureError("truncated", f"cut off or damaged: {_words(error)}") from error
    return picture


def _words(error: Exception) -> str:
    """Return what `error` says; Pillow's words for a file it cannot identify name an object in memory."""
    return "no picture in it yet" if isinstance(error, UnidentifiedImageError) else str(error)


def to_rgb(picture: Image.Image) -> Image.Image:
    """Return `picture` upright and in 8-bit RGB, transparent parts over white.

    Of 16 bits a channel the upper 8 are kept, as Pillow does by itself with 16-bit colour PNG.

    Raises:
        PictureError: the colour mode has no defined way to 8-bit RGB (floating point, CIE L*a*b*).
    """
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in _SIXTEEN_BIT:
        sixteen = np.clip(np.asarray(picture).astype(np.int64), 0, 65535)
        picture = Image.fromarray((sixteen >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        picture = Image.alpha_composite(white, layer)
    if picture.mode in ("F", "LAB"):
        raise PictureError("not_a_picture", f"colour mode {picture.mode} is not supported; save it as 8-bit RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def open_picture(path: Path) -> Image.Image:
    """Open a picture file: fully decoded, upright, 8-bit RGB.

    Raises:
        InputError: the file is missing, empty, truncated or not a picture; the message names it.
    """
    try:
        return to_rgb(decode(path.read_bytes()))
    except PictureError as error:
        raise PictureError(error.kind, f"{path}: {error}") from error
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise InputError(f"{path}: there is no such file") from error


def model_input(picture: Image.Image, size: int) -> np.ndarray:
    """Return the (size, size, 3) uint8 RGB pixels that the model sees of `picture`."""
    picture = to_rgb(picture)
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))
