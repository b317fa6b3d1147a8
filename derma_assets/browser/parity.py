"""Whether the page in a real browser computes what Python computes: logits, activation maps, preprocessing."""

import base64
import io
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

from derma_assets.browser.bundle import changed_files, read_manifest, with_variant
from derma_assets.browser.chromium import launched, open_bundle
from derma_assets.browser.graph_model import VARIANTS
from derma_assets.browser.serve import serving
from derma_assets.dataset.preprocessing import decode, model_input

if TYPE_CHECKING:
    from playwright.sync_api import Page

FLOAT32_TOLERANCE = 1e-4
CAMS_TOLERANCE = 1e-4
# Share of pictures whose first diagnosis must be the trained model's. A picture between two diagnoses may fall
# either way, so a quantised variant is not asked for all: of some fifty pictures, float16 may turn two.
MINIMUM_AGREEMENT = {"float32": 1.0, "float16": 0.95, "uint8": 0.9}

_PREDICT = """([encoded, count]) => {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const { logits, cams, grid } = window.derma.predictTensor(Float32Array.from(bytes));
  return { logits: Array.from(logits), cams: Array.from(cams), grid };
}"""
_PREPROCESS = """async ([encoded, type]) => {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const tensor = await window.derma.preprocess(new Blob([bytes], { type }));
  return Array.from(tensor);
}"""
_BATCH = 16


@dataclass(frozen=True)
class BrowserOutputs:
    """What the page computed for n pictures.

    Attributes:
        logits: (n, 7) float32.
        cams: (n, h, w, 7) float32.
    """

    logits: np.ndarray
    cams: np.ndarray


def predict_in_page(page: "Page", pixels: np.ndarray) -> BrowserOutputs:
    """Run (n, S, S, 3) uint8 pictures through the model that the open page has loaded."""
    logits, cams = [], []
    for start in range(0, len(pixels), _BATCH):
        batch = np.ascontiguousarray(pixels[start : start + _BATCH])
        output = page.evaluate(_PREDICT, [base64.b64encode(batch.tobytes()).decode(), len(batch)])
        logits.append(np.asarray(output["logits"], np.float32).reshape(len(batch), -1))
        cams.append(np.asarray(output["cams"], np.float32).reshape(len(batch), *output["grid"], -1))
    return BrowserOutputs(np.concatenate(logits), np.concatenate(cams))


def compare_outputs(
    model: str, variant: str, outputs: BrowserOutputs, reference: np.ndarray
) -> dict[str, str | float | bool]:
    """Return how far a model in the browser is from the trained model's (n, 7) logits, and whether that is near enough.

    Args:
        model: What to call it in the table.
        variant: How it keeps its weights, which decides what is near enough.
        outputs: What the page computed.
        reference: (n, 7) float32 logits of the trained model.
    """
    difference = float(np.abs(outputs.logits - reference).max())
    agreement = float((outputs.logits.argmax(axis=1) == reference.argmax(axis=1)).mean())
    cams = float(np.abs(outputs.cams.mean(axis=(1, 2)) - outputs.logits).max())
    near = agreement >= MINIMUM_AGREEMENT[variant] and cams <= CAMS_TOLERANCE
    if variant == "float32":
        near = near and difference <= FLOAT32_TOLERANCE
    return {
        "model": model,
        "max_logit_difference": difference,
        "top1_agreement": agreement,
        "max_cams_difference": cams,
        # Of a number that is not finite no comparison holds: a model that gives NaN does not pass.
        "near_enough": bool(near and np.isfinite(outputs.logits).all()),
    }


@dataclass(frozen=True)
class PictureFile:
    """A picture file for the preprocessing check.

    Attributes:
        content: The file's bytes.
        mime_type: `image/png` or `image/jpeg`.
        exact: Whether the tensor must be Python's bit for bit; decoders of JPEG are free to round.
    """

    content: bytes
    mime_type: str
    exact: bool


def picture_files(size: int, seed: int = 0) -> dict[str, PictureFile]:
    """Return small picture files of every kind the page may be given, by name: sizes, modes, alpha, turned, formats.

    Args:
        size: Side of the model's input; the pictures are smaller, equal and larger.
        seed: Seed of their content.
    """
    rng = np.random.default_rng(seed)

    def noise(width: int, height: int, channels: int) -> np.ndarray:
        return rng.integers(0, 256, (height, width, channels), np.uint8)

    def smooth(width: int, height: int) -> Image.Image:
        coarse = Image.fromarray(noise(9, 7, 3))
        return coarse.resize((width, height), Image.Resampling.BICUBIC)

    def png(picture: Image.Image, orientation: int | None = None) -> PictureFile:
        return PictureFile(_encode(picture, "PNG", orientation), "image/png", exact=True)

    def jpeg(picture: Image.Image, orientation: int | None = None) -> PictureFile:
        return PictureFile(_encode(picture, "JPEG", orientation), "image/jpeg", exact=False)

    grey = Image.fromarray(noise(211, 160, 1)[..., 0])
    files = {
        "png same size": png(Image.fromarray(noise(size, size, 3))),
        "png larger, odd": png(Image.fromarray(noise(2 * size + 37, 3 * size + 11, 3))),
        "png wide": png(Image.fromarray(noise(5 * size + 1, size + 3, 3))),
        "png smaller": png(Image.fromarray(noise(size // 3, size // 2 + 1, 3))),
        "png one pixel": png(Image.fromarray(noise(1, 1, 3))),
        "png grey": png(grey),
        "png palette": png(smooth(203, 151).quantize(64)),
        "png alpha": png(Image.fromarray(noise(199, 151, 4))),
        "png alpha, same size": png(Image.fromarray(noise(size, size, 4))),
        "png grey and alpha": png(Image.fromarray(noise(199, 151, 2))),
        "png 1 bit": png(grey.convert("1")),
        "png 16 bits": png(Image.fromarray(rng.integers(0, 1 << 16, (151, 199), np.uint16))),
    }
    for orientation in range(2, 9):
        files[f"png EXIF orientation {orientation}"] = png(smooth(size + 40, size + 11), orientation)
    files["jpeg"] = jpeg(smooth(600, 450))
    files["jpeg CMYK"] = jpeg(smooth(600, 450).convert("CMYK"))
    files["jpeg EXIF orientation 6"] = jpeg(smooth(600, 450), 6)
    return files


def _encode(picture: Image.Image, kind: str, orientation: int | None) -> bytes:
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    picture.save(buffer, kind, **({"exif": exif} if orientation is not None else {}))
    return buffer.getvalue()


def preprocess_in_page(page: "Page", file: PictureFile, size: int) -> np.ndarray:
    """Return the (size, size, 3) float32 tensor that the open page makes of a picture file."""
    tensor = page.evaluate(_PREPROCESS, [base64.b64encode(file.content).decode(), file.mime_type])
    return np.asarray(tensor, np.float32).reshape(size, size, 3)


def compare_preprocessing(page: "Page", files: Mapping[str, PictureFile], size: int) -> pd.DataFrame:
    """Return, for each picture file, how far the page's tensor is from Python's.

    Returns:
        Columns `picture`, `must_be_exact`, `max_difference` in grey levels, and `share_different` of the numbers.
    """
    rows = []
    for name, file in files.items():
        expected = model_input(decode(file.content), size).astype(np.float32)
        difference = np.abs(preprocess_in_page(page, file, size) - expected)
        rows.append(
            {
                "picture": name,
                "must_be_exact": file.exact,
                "max_difference": float(difference.max()),
                "share_different": float((difference > 0).mean()),
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Parity:
    """What `measure_parity` found.

    Attributes:
        browser: Its name and version.
        outputs: One row per model, from `compare_outputs`: the bundle's own, then every variant.
        preprocessing: From `compare_preprocessing`.
        problems: What is not as it must be, for a reader; empty when all is well.
        seconds: How long it took.
    """

    browser: str
    outputs: pd.DataFrame
    preprocessing: pd.DataFrame
    problems: list[str]
    seconds: float


def spread_rows(rows: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` of the rows, evenly spread and in order: a sample that is the same each time."""
    if len(rows) <= count:
        return np.sort(rows)
    return np.sort(rows)[np.linspace(0, len(rows) - 1, count).round().astype(int)]


def measure_parity(executable: Path, bundle: Path, variants: Path, pixels: np.ndarray, reference: np.ndarray) -> Parity:
    """Open a bundle, and the same with every variant of the model, in a real browser and compare with Python.

    Args:
        executable: The browser.
        bundle: The bundle.
        variants: Folder of all variants of its model.
        pixels: (n, S, S, 3) uint8 pictures.
        reference: (n, 7) float32 logits of the trained model for them.

    Raises:
        UserError: the browser does not start, or the page refuses the bundle.
    """
    started = time.monotonic()
    problems = [f"{path} is not as the manifest says" for path in changed_files(bundle)]
    rows = []
    with launched(executable) as browser, tempfile.TemporaryDirectory() as scratch:
        with serving(bundle) as address:
            page = open_bundle(browser, address)
            variant = read_manifest(bundle)["model"]["variant"]
            rows.append(compare_outputs("bundle", variant, predict_in_page(page, pixels), reference))
            preprocessing = compare_preprocessing(page, picture_files(pixels.shape[1]), pixels.shape[1])
            page.close()
        for variant in VARIANTS:
            folder = Path(scratch) / variant
            with_variant(folder, bundle, variants / variant, variant)
            with serving(folder) as address:
                page = open_bundle(browser, address)
                rows.append(compare_outputs(variant, variant, predict_in_page(page, pixels), reference))
                page.close()
        name = f"Chromium {browser.version}"
    outputs = pd.DataFrame(rows)
    # A variant that is not shipped harms nobody: its row in the table says what it would cost.
    shipped = outputs["model"].isin(["bundle", "float32"])
    problems += [
        f"{row.model} differs from Keras: logits by {row.max_logit_difference:.2g}, "
        f"first diagnosis the same in {row.top1_agreement:.1%}"
        for row in outputs[shipped & ~outputs["near_enough"]].itertuples()
    ]
    inexact = preprocessing[preprocessing["must_be_exact"] & ~(preprocessing["max_difference"] == 0)]
    problems += [f"preprocessing of {row.picture} differs by {row.max_difference}" for row in inexact.itertuples()]
    return Parity(name, outputs, preprocessing, problems, time.monotonic() - started)
