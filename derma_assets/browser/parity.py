"""Whether the page in a real browser computes what Python computes, on every back end and for every variant."""

import base64
import io
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from derma_assets.browser.bundle import changed_files, read_manifest, with_variant
from derma_assets.browser.chromium import launched, open_bundle
from derma_assets.browser.conversion import VARIANTS
from derma_assets.browser.quantisation import Reference, relative_difference
from derma_assets.browser.serve import serving
from derma_assets.dataset.preprocessing import decode, model_input

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Rounding grows with what is rounded: of each picture's largest logit where that is above one, else absolute.
FLOAT32_TOLERANCE = 1e-4
CAMS_TOLERANCE = 1e-4
# Share of pictures whose first diagnosis must be the trained model's; of fewer than a hundred, one may differ.
MINIMUM_AGREEMENT = {"float32": 1.0, "float16": 0.99, "uint8": 0.99}
# As a share of the unfamiliarity: the limit on it was chosen with the trained model's own.
UNFAMILIARITY_TOLERANCE = {"float32": 1e-3, "float16": 0.05, "uint8": 0.1}
BASELINE = "wasm"
# Those that every device computes alike. The page tries the others itself, against these, and takes none that differs.
EXACT_BACKENDS = (BASELINE, "wasm-threads")
# Without a graphics processor the browser computes one, a hundred times slower; WebGPU has to be told to do with that.
PICTURES_ON_OTHER_BACKENDS = 4
_COMPUTED_GRAPHICS = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-unsafe-swiftshader")

_PREDICT = """async ([encoded, backend]) => {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const { logits, cams, grid, unfamiliarity } =
    await window.derma.predictTensor(Float32Array.from(bytes), backend ? { backend } : {});
  return { logits: Array.from(logits), cams: Array.from(cams), grid, unfamiliarity: Array.from(unfamiliarity) };
}"""
_PREPROCESS = """async ([encoded, type]) => {
  const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
  const { buffer, byteOffset, byteLength } = await window.derma.preprocess(new Blob([bytes], { type }));
  const found = new Uint8Array(buffer, byteOffset, byteLength);
  let text = "";
  for (let start = 0; start < found.length; start += 32768) {
    text += String.fromCharCode(...found.subarray(start, start + 32768));
  }
  return btoa(text);
}"""
_BACKENDS = "async () => await window.derma.backends()"
_BATCH = 16


@dataclass(frozen=True)
class Outputs:
    """What was computed of n pictures.

    Attributes:
        logits: (n, 7) float32.
        cams: (n, h, w, 7) float32.
        unfamiliarity: (n,) float32.
    """

    logits: np.ndarray
    cams: np.ndarray
    unfamiliarity: np.ndarray


def predict_in_page(page: "Page", pixels: np.ndarray, backend: str | None = None) -> Outputs:
    """Run pictures through the model that the open page has loaded.

    Args:
        page: From `chromium.open_bundle`.
        pixels: (n, S, S, 3) uint8.
        backend: One of the page's back ends; left out, the one it uses.
    """
    logits, cams, unfamiliarity = [], [], []
    for start in range(0, len(pixels), _BATCH):
        batch = np.ascontiguousarray(pixels[start : start + _BATCH])
        output = page.evaluate(_PREDICT, [base64.b64encode(batch.tobytes()).decode(), backend])
        logits.append(np.asarray(output["logits"], np.float32).reshape(len(batch), -1))
        cams.append(np.asarray(output["cams"], np.float32).reshape(len(batch), *output["grid"], -1))
        unfamiliarity.append(np.asarray(output["unfamiliarity"], np.float32))
    return Outputs(np.concatenate(logits), np.concatenate(cams), np.concatenate(unfamiliarity))


def compare_outputs(variant: str, outputs: Outputs, reference: Reference) -> dict[str, int | float | bool]:
    """Return how far the outputs of a model in the browser are from Keras, and whether that is near enough.

    Args:
        variant: How the model keeps its weights, which decides what is near enough.
        outputs: What the page computed.
        reference: What Keras computes for the same pictures.
    """
    pictures = len(outputs.logits)
    difference = np.abs(outputs.logits - reference.logits)
    scale = np.maximum(1, np.abs(reference.logits).max(axis=1, keepdims=True))
    other = int((outputs.logits.argmax(axis=1) != reference.logits.argmax(axis=1)).sum())
    cams = np.abs(outputs.cams.mean(axis=(1, 2)) - outputs.logits)
    unfamiliarity = relative_difference(outputs.unfamiliarity, reference.unfamiliarity)
    allowed = 0 if variant == "float32" else max(1, int(pictures * (1 - MINIMUM_AGREEMENT[variant])))
    near = other <= allowed and unfamiliarity <= UNFAMILIARITY_TOLERANCE[variant]
    near = near and bool((cams <= CAMS_TOLERANCE * scale).all())
    if variant == "float32":
        near = near and bool((difference <= FLOAT32_TOLERANCE * scale).all())
    return {
        "pictures": pictures,
        "max_logit_difference": float(difference.max()),
        "max_relative_logit_difference": float((difference / scale).max()),
        "top1_agreement": 1 - other / pictures,
        "max_cams_difference": float(cams.max()),
        "max_unfamiliarity_difference": unfamiliarity,
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
    # As text: of a list Playwright wraps every number, which takes a second for a picture.
    encoded = page.evaluate(_PREPROCESS, [base64.b64encode(file.content).decode(), file.mime_type])
    return np.frombuffer(base64.b64decode(encoded), np.float32).reshape(size, size, 3)


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
        outputs: One row for each model and back end: `model` ("bundle" for the bundle's own, then the other variants),
            `variant`, `backend`, `state` ("compared", or why it was not) and the columns of `compare_outputs`.
        preprocessing: From `compare_preprocessing`.
        problems: What is not as it must be, for a reader; empty when all is well.
        seconds: How long it took.
    """

    browser: str
    outputs: pd.DataFrame
    preprocessing: pd.DataFrame
    problems: list[str]
    seconds: float


def measure_parity(executable: Path, bundle: Path, variants: Path, pixels: np.ndarray, reference: Reference) -> Parity:
    """Open a bundle, and the same with every variant of the model, in a real browser and compare with Python.

    Args:
        executable: The browser.
        bundle: The bundle.
        variants: Folder of all variants of its model.
        pixels: (n, S, S, 3) uint8 pictures.
        reference: What Keras computes for them.

    Raises:
        UserError: the browser does not start, or the page refuses the bundle.
    """
    started = time.monotonic()
    problems = [f"{path} is not as the manifest says" for path in changed_files(bundle)]
    with launched(executable, _COMPUTED_GRAPHICS) as browser, tempfile.TemporaryDirectory() as scratch:
        with serving(bundle) as address:
            page = open_bundle(browser, address)
            shipped = read_manifest(bundle)["model"]["variant"]
            rows = [
                {"model": "bundle", **_compared_on(page, backend, shipped, pixels, reference)}
                for backend in page.evaluate(_BACKENDS)
            ]
            preprocessing = compare_preprocessing(page, picture_files(pixels.shape[1]), pixels.shape[1])
            page.close()
        for variant in VARIANTS:
            if variant == shipped:
                continue
            folder = Path(scratch) / variant
            with_variant(folder, bundle, variants / variant, variant)
            with serving(folder) as address:
                page = open_bundle(browser, address)
                rows.append({"model": variant, **_compared_on(page, BASELINE, variant, pixels, reference)})
                page.close()
        name = f"Chromium {browser.version}"
    outputs = pd.DataFrame(rows)
    problems += [_said(row) for row in rows if _must_be_near(row) and not row.get("near_enough")]
    inexact = preprocessing[preprocessing["must_be_exact"] & ~(preprocessing["max_difference"] == 0)]
    problems += [f"preprocessing of {row.picture} differs by {row.max_difference}" for row in inexact.itertuples()]
    return Parity(name, outputs, preprocessing, problems, time.monotonic() - started)


def _compared_on(page: "Page", backend: str, variant: str, pixels: np.ndarray, reference: Reference) -> dict[str, Any]:
    """Return `compare_outputs` of a back end, or why it does not run here."""
    from playwright.sync_api import Error

    count = len(pixels) if backend in EXACT_BACKENDS else min(len(pixels), PICTURES_ON_OTHER_BACKENDS)
    row = {"variant": variant, "backend": backend}
    try:
        outputs = predict_in_page(page, pixels[:count], backend)
    except Error as error:
        return {**row, "state": f"does not run here: {error.message.splitlines()[0]}", "pictures": 0}
    return {**row, "state": "compared", **compare_outputs(variant, outputs, reference[:count])}


def _must_be_near(row: Mapping[str, Any]) -> bool:
    """Return whether somebody would be harmed: a variant that is not shipped harms nobody, nor does another back end.

    The page itself compares the other back ends with the first and uses none that computes something else.
    """
    return (row["model"] == "bundle" and row["backend"] in EXACT_BACKENDS) or row["model"] == "float32"


def _said(row: Mapping[str, Any]) -> str:
    if row["state"] != "compared":
        return f"{row['model']} on {row['backend']} {row['state']}"
    return (
        f"{row['model']} on {row['backend']} differs from Keras: logits by {row['max_logit_difference']:.2g} "
        f"({row['max_relative_logit_difference']:.1g} of their size), "
        f"first diagnosis the same in {row['top1_agreement']:.1%}, "
        f"activation maps by {row['max_cams_difference']:.2g}, "
        f"unfamiliarity by {row['max_unfamiliarity_difference']:.2%}"
    )
