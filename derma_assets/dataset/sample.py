"""The embedded sample: a small synthetic data set laid out like HAM10000, so that the same code reads both.

It has HAM10000's columns, imbalance and defects (missing ages, unknown sex and place, several pictures a lesion).
Nothing in it is real. Its identifiers start far above HAM10000's, so that the two can never be taken for each other.
"""

import hashlib
import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from derma_assets.dataset import synthetic_skin
from derma_assets.dataset.metadata_schema import COLUMNS, LOCALIZATIONS, UNKNOWN
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES
from derma_assets.progress import progress
from derma_assets.storage.atomic import replacing
from derma_assets.storage.fingerprint import sha256_of_file

METADATA = "HAM10000_metadata.csv"
PARTS = ("HAM10000_images_part_1", "HAM10000_images_part_2")
STAMP = "sample.json"

_FIRST_IMAGE, _FIRST_LESION = 90000, 90000
_JPEG_QUALITY = 90


@dataclass(frozen=True)
class Kind:
    """How one diagnosis occurs in the sample.

    Attributes:
        lesions: How many lesions.
        pictures: Shares of lesions with 1, 2, 3 and 4 pictures.
        age: Mean age, in years.
        confirmed: How a diagnosis of this kind is confirmed (`dx_type`), and the share of each way.
    """

    lesions: int
    pictures: tuple[float, float, float, float]
    age: float
    confirmed: dict[str, float]


# The order is HAM10000's prevalence, flattened: its smallest category would otherwise have two lesions here.
_MANY, _FEW = (0.4, 0.4, 0.15, 0.05), (0.65, 0.3, 0.05, 0.0)
KINDS: dict[str, Kind] = dict(
    zip(
        CODES,
        (
            Kind(18, _MANY, 68, {"histo": 1.0}),
            Kind(20, _MANY, 67, {"histo": 1.0}),
            Kind(28, _MANY, 64, {"histo": 0.7, "consensus": 0.24, "confocal": 0.06}),
            Kind(14, _MANY, 52, {"histo": 0.48, "consensus": 0.52}),
            Kind(28, _MANY, 61, {"histo": 1.0}),
            Kind(80, _FEW, 48, {"follow_up": 0.55, "histo": 0.38, "consensus": 0.07}),
            Kind(16, _MANY, 52, {"histo": 0.47, "consensus": 0.53}),
        ),
        strict=True,
    )
)


def sample_metadata(seed: int) -> pd.DataFrame:
    """Return the sample's metadata: HAM10000's columns, one row per picture."""
    random = np.random.default_rng([seed, 1])
    lesions = [
        (code, count)
        for code, kind in KINDS.items()
        for count in 1 + random.choice(4, size=kind.lesions, p=kind.pictures)
    ]
    random.shuffle(lesions)
    image_numbers = iter(_FIRST_IMAGE + random.permutation(sum(count for _, count in lesions)))
    rows = []
    for number, (code, count) in enumerate(lesions):
        kind = KINDS[code]
        age = float(np.clip(5 * round(random.normal(kind.age, 14) / 5), 5, 85))
        of_lesion = {
            "lesion_id": f"HAM_{_FIRST_LESION + number:07d}",
            "dx": code,
            "dx_type": random.choice(list(kind.confirmed), p=list(kind.confirmed.values())),
            "age": age if random.uniform() > 0.04 else np.nan,
            "sex": random.choice(["male", "female", UNKNOWN], p=[0.53, 0.44, 0.03]),
            "localization": random.choice([*LOCALIZATIONS, UNKNOWN]),
        }
        rows += [{**of_lesion, "image_id": f"ISIC_{next(image_numbers):07d}"} for _ in range(count)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def ensure_sample(folder: Path, seed: int) -> Path:
    """Return `folder` with the sample in it: generated if it is not there, is incomplete or was made otherwise.

    The same seed gives the same bytes.

    Raises:
        StorageError: the sample cannot be written.
    """
    metadata = sample_metadata(seed)
    stamp: dict[str, int | str] = {"seed": seed, "generator": _generator_version(), "pictures": len(metadata)}
    if _is_complete(folder, stamp, metadata):
        return folder
    with replacing(folder) as beside:
        for part in PARTS:
            (beside / part).mkdir(parents=True)
        metadata.to_csv(beside / METADATA, index=False)
        files = [beside / path for path in _picture_paths(metadata)]
        lesion_numbers = metadata["lesion_id"].str[-7:].astype(int)

        def draw(row: int) -> None:
            code, lesion = metadata["dx"].iloc[row], int(lesion_numbers.iloc[row])
            picture = draw_picture(code, _derive(seed, 2, lesion), _derive(seed, 3, row))
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=_JPEG_QUALITY)
            files[row].write_bytes(buffer.getvalue())

        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for _ in progress(threads.map(draw, range(len(metadata))), "embedded sample", total=len(metadata)):
                pass
        (beside / STAMP).write_text(json.dumps(stamp, indent=2) + "\n")
    return folder


def _derive(seed: int, purpose: int, number: int) -> int:
    """Return a seed of its own for each lesion and picture, so that the order of drawing does not matter."""
    return int(np.random.SeedSequence([seed, purpose, number]).generate_state(1)[0])


def _picture_paths(metadata: pd.DataFrame) -> list[Path]:
    """Return where each picture goes below the sample's folder: the lower half of the numbers into part 1."""
    first = set(metadata["image_id"].sort_values().head(len(metadata) // 2))
    return [Path(PARTS[image_id not in first]) / f"{image_id}.jpg" for image_id in metadata["image_id"]]


def _generator_version() -> str:
    """Return a digest of the code that makes the sample, so that a change of it makes the sample anew."""
    sources = [Path(__file__), Path(str(synthetic_skin.__file__))]
    return hashlib.sha256("".join(sha256_of_file(source) for source in sources).encode()).hexdigest()[:16]


def _is_complete(folder: Path, stamp: dict[str, int | str], metadata: pd.DataFrame) -> bool:
    try:
        if json.loads((folder / STAMP).read_text()) != stamp:
            return False
        if (folder / METADATA).read_text() != metadata.to_csv(index=False):
            return False
        return all((folder / path).stat().st_size > 0 for path in _picture_paths(metadata))
    except (OSError, ValueError):
        return False
