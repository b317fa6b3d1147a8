"""Generated data of any size to measure scaling with: metadata, hashes, predictions, and small pictures.

As in HAM10000 there are 1.34 pictures a lesion, in its shares of diagnoses. Pictures of one lesion have hashes that
differ in a few bits, and one lesion in a thousand looks like another; beyond that hashes are spread evenly, so that the
number of look-alikes grows with the pictures and not with their square.
"""

import io
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from derma_assets.dataset.metadata_schema import COLUMNS, DX_TYPES, LOCALIZATIONS, SEXES
from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION
from derma_assets.diagnoses import CODES
from derma_assets.training.predictions import LOGIT_COLUMNS

# Of HAM10000's lesions, in the order of `CODES`.
_SHARES = np.array([228, 327, 727, 73, 614, 5403, 98], np.float64)
_PICTURES_A_LESION = 1.34
_FLIPPED_BITS = 2
_LOOK_ALIKE = 0.001
_WIDTH, _HEIGHT = 160, 120
_A_FOLDER = 10_000


def generated_metadata(rows: int, seed: int) -> pd.DataFrame:
    """Return metadata in HAM10000's columns, `rows` of them."""
    draw = np.random.default_rng(seed)
    lesions = max(len(CODES) * 4, round(rows / _PICTURES_A_LESION))
    lesion = np.concatenate([np.arange(lesions), draw.integers(0, lesions, max(0, rows - lesions))])[:rows]
    # Each diagnosis has some lesions, however few rows there are.
    dx = np.concatenate(
        [np.tile(np.arange(len(CODES)), 4), draw.choice(len(CODES), lesions, p=_SHARES / _SHARES.sum())]
    )
    table = pd.DataFrame(
        {
            "lesion_id": pd.Series(lesion).map("HAM_{:08d}".format),
            "image_id": pd.Series(draw.permutation(rows)).map("ISIC_{:08d}".format),
            "dx": np.array(CODES)[dx[lesion]],
            "dx_type": draw.choice(DX_TYPES, rows),
            "age": 5.0 * draw.integers(1, 18, rows),
            "sex": draw.choice(SEXES, rows),
            "localization": draw.choice(LOCALIZATIONS, rows),
        }
    )
    return table[list(COLUMNS)]


def generated_manifest(metadata: pd.DataFrame, files: list[Path], seed: int) -> pd.DataFrame:
    """Return a manifest in which every picture is readable.

    Args:
        metadata: Whose pictures.
        files: Of each picture; they are there.
        seed: Of the hashes.
    """
    draw = np.random.default_rng([seed, 1])
    lesion = pd.factorize(metadata["lesion_id"])[0]
    base = draw.integers(0, 2**64, lesion.max() + 1, dtype=np.uint64)
    alike = np.flatnonzero(draw.random(len(base)) < _LOOK_ALIKE)
    base[alike] = base[draw.integers(0, len(base), len(alike))]
    bits = np.uint64(1) << draw.integers(0, 64, (_FLIPPED_BITS, len(lesion)), dtype=np.uint64)
    hashes = base[lesion] ^ np.bitwise_or.reduce(bits, axis=0)
    states = [file.stat() for file in files]
    return pd.DataFrame(
        {
            "image_id": metadata["image_id"],
            "path": [str(file) for file in files],
            "status": "ok",
            "problem": "",
            "bytes": [state.st_size for state in states],
            "sha256": [f"{number:064x}" for number in range(len(metadata))],
            "width": 600,
            "height": 450,
            "mode": "RGB",
            "phash": [f"{value:016x}" for value in hashes],
            "mtime_ns": [state.st_mtime_ns for state in states],
            "decoding": PREPROCESSING_VERSION,
        }
    )


def generated_predictions(splits: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the table `predictions` of a model that is right in most cases, for what is held out."""
    held_out = splits.loc[splits["split"] != "train", ["image_id", "lesion_id", "dx", "split"]].reset_index(drop=True)
    logits = np.random.default_rng([seed, 2]).normal(0, 1, (len(held_out), len(CODES)))
    logits[np.arange(len(held_out)), held_out["dx"].map(CODES.index).to_numpy()] += 2
    return pd.concat([held_out, pd.DataFrame(logits.astype(np.float32), columns=LOGIT_COLUMNS)], axis=1)


def linked_files(image_ids: list[str], folder: Path) -> list[Path]:
    """Return a file for each picture, made below `folder`: names for few small files, since nobody will read them."""
    files = []
    for number, image_id in enumerate(image_ids):
        below = folder / f"{number // _A_FOLDER:04d}"
        if number % _A_FOLDER == 0:
            below.mkdir(parents=True)
            (below / "picture").write_bytes(_jpeg(number))
        files.append(below / f"{image_id}.jpg")
        files[-1].hardlink_to(below / "picture")
    return files


def write_pictures(image_ids: list[str], folder: Path) -> None:
    """Write a small JPEG file for each picture, all of them different, with all cores."""
    jobs = [(image_id, folder / f"{number // _A_FOLDER:04d}") for number, image_id in enumerate(image_ids)]
    for below in {below for _, below in jobs}:
        below.mkdir(parents=True)
    with ProcessPoolExecutor() as processes:
        for _ in processes.map(write_picture, *zip(*jobs, strict=True), range(len(jobs)), chunksize=200):
            pass


def write_picture(image_id: str, folder: Path, number: int) -> None:
    """Write one small JPEG file, another for each number."""
    (folder / f"{image_id}.jpg").write_bytes(_jpeg(number))


def _jpeg(number: int) -> bytes:
    coarse = np.random.default_rng(number).integers(60, 220, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
