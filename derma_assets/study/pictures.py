"""The pictures of a trial: at its size, framed its way, made once and kept."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from derma_assets.dataset.image_arrays import FORMAT, INDEX, PIXELS, ImageArrays, build_image_arrays
from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION, model_input, open_picture
from derma_assets.in_order import in_order
from derma_assets.storage.atomic import replacing
from derma_assets.study.trials import Framing

# Minkowski norm of the shades of grey (Finlayson and Trezzi, "Shades of Gray and Colour Constancy", CIC 2004).
_NORM = 6


def trial_pictures(manifest: pd.DataFrame, size: int, framing: Framing, folder: Path) -> ImageArrays:
    """Return the readable pictures of `manifest`, made where an earlier trial has not made them.

    Args:
        manifest: The table `raw_images`.
        size: Side of the square pictures, in pixels.
        framing: How a square is made of a picture.
        folder: Folder of the pictures of all trials.
    """
    path = folder / f"{framing}-{size}"
    readable = manifest.loc[manifest["status"] == "ok", ["image_id", "sha256", "path"]]
    if framing != "centre":
        # Other pixels of the same file: whoever compares fingerprints has to see that.
        readable = readable.assign(sha256=f"{framing} of " + readable["sha256"])
    if path.exists():
        made = ImageArrays.open(path)
        if made.index["sha256"].tolist() == readable["sha256"].tolist() and made.preprocessing == PREPROCESSING_VERSION:
            return made
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        if framing == "centre":
            build_image_arrays(manifest, size, beside)
        else:
            _build(readable, size, framing, beside)
    return ImageArrays.open(path)


def _build(readable: pd.DataFrame, size: int, framing: Framing, folder: Path) -> None:
    frame = whole if framing == "whole" else shades_of_grey

    def pixels_of(path: str) -> np.ndarray:
        return model_input(frame(open_picture(Path(path))), size)

    folder.mkdir(parents=True)
    with (folder / PIXELS).open("wb") as file:
        described = {"descr": "|u1", "fortran_order": False, "shape": (len(readable), size, size, 3)}
        np.lib.format.write_array_header_1_0(file, described)
        for pixels in in_order(pixels_of, readable["path"].tolist(), "framing"):
            file.write(pixels.tobytes())
    readable[["image_id", "sha256"]].reset_index(drop=True).to_parquet(folder / INDEX)
    (folder / FORMAT).write_text(json.dumps({"size": size, "preprocessing": PREPROCESSING_VERSION}) + "\n")


def whole(picture: Image.Image) -> Image.Image:
    """Return the smallest square that holds the whole picture, its missing strips mirrored."""
    pixels = np.asarray(picture)
    height, width = pixels.shape[:2]
    side = max(height, width)
    above, left = (side - height) // 2, (side - width) // 2
    strips = ((above, side - height - above), (left, side - width - left), (0, 0))
    return Image.fromarray(np.pad(pixels, strips, mode="symmetric"))


def shades_of_grey(picture: Image.Image) -> Image.Image:
    """Return the picture as under a grey light: its channels scaled to equal sixth-power means.

    Source: Finlayson and Trezzi, CIC 2004; on dermatoscopic pictures Barata, Celebi, Marques, IEEE J-BHI 2015.
    """
    pixels = np.asarray(picture, np.float64) / 255
    light = (pixels**_NORM).mean(axis=(0, 1)) ** (1 / _NORM)
    gains = light.mean() / np.maximum(light, 1e-6)
    return Image.fromarray(np.clip(np.rint(pixels * gains * 255), 0, 255).astype(np.uint8))
