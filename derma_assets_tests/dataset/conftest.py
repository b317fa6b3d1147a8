"""A small data set in HAM10000's layout, made of noise."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derma_assets.diagnoses import CODES


def noise(seed: int, width: int = 60, height: int = 45) -> Image.Image:
    """Return a smooth random picture, different for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def metadata_of(lesions: int = 14) -> pd.DataFrame:
    """Return metadata of two pictures a lesion, every diagnosis in turn."""
    rows = [
        (f"HAM_{n // 2:07d}", f"ISIC_{n:07d}", CODES[n // 2 % len(CODES)], "histo", 50.0 + n, "male", "back")
        for n in range(2 * lesions)
    ]
    return pd.DataFrame(rows, columns=["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"])


@pytest.fixture
def ham_folder(tmp_path: Path) -> Path:
    """A folder with metadata of 28 pictures, and the pictures in two parts."""
    folder = tmp_path / "ham"
    metadata = metadata_of()
    for number, image_id in enumerate(metadata["image_id"]):
        part = folder / f"HAM10000_images_part_{1 + number % 2}"
        part.mkdir(parents=True, exist_ok=True)
        noise(number).save(part / f"{image_id}.jpg", quality=92)
    metadata.to_csv(folder / "HAM10000_metadata.csv", index=False)
    return folder
