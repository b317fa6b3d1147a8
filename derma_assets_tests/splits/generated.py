"""Made-up metadata and manifests for the tests of splits."""

import numpy as np
import pandas as pd

from derma_assets.diagnoses import CODES


def metadata(lesions_per_class: list[int] | None = None, seed: int = 0) -> pd.DataFrame:
    """Return metadata with the given number of lesions of each diagnosis and 1 to 3 pictures of each."""
    draw = np.random.default_rng(seed)
    rows = []
    for code, lesions in zip(CODES, lesions_per_class or [40, 60, 100, 12, 90, 500, 20], strict=True):
        for index in range(lesions):
            for _ in range(int(draw.integers(1, 4))):
                rows.append((f"L_{code}_{index:04d}", f"I_{len(rows):06d}", code))
    return pd.DataFrame(rows, columns=["lesion_id", "image_id", "dx"])


def manifest(image_ids: list[str], seed: int = 0) -> pd.DataFrame:
    """Return a manifest of readable pictures with random, so far apart, perceptual hashes."""
    draw = np.random.default_rng(seed)
    hashes = draw.integers(0, 2**64, size=len(image_ids), dtype=np.uint64)
    return pd.DataFrame(
        {
            "image_id": image_ids,
            "path": [f"/nowhere/{image_id}.jpg" for image_id in image_ids],
            "status": "ok",
            "sha256": [f"{index:064x}" for index in range(len(image_ids))],
            "phash": [f"{value:016x}" for value in hashes],
        }
    )
