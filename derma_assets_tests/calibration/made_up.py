"""Made-up predictions: overconfident logits for lesions with one to three pictures, on validation and test."""

import numpy as np
import pandas as pd

from derma_assets.diagnoses import CODES
from derma_assets.training.predictions import LOGIT_COLUMNS


def predictions(lesions_per_class: int = 12, skill: float = 3.0, seed: int = 0) -> pd.DataFrame:
    """Return a table as the asset `predictions` is; the logits, times 5, are `skill` higher for the true class."""
    draw = np.random.default_rng(seed)
    rows = []
    for side in ("validation", "test"):
        for code in CODES:
            for lesion in range(lesions_per_class):
                of_lesion = draw.normal(size=len(CODES))
                for picture in range(int(draw.integers(1, 4))):
                    logits = of_lesion + 0.3 * draw.normal(size=len(CODES))
                    logits[CODES.index(code)] += skill
                    name = f"{side}_{code}_{lesion}"
                    rows.append((f"{name}_{picture}", name, code, side, *(5 * logits)))
    table = pd.DataFrame(rows, columns=["image_id", "lesion_id", "dx", "split", *LOGIT_COLUMNS])
    return table.astype(dict.fromkeys(LOGIT_COLUMNS, np.float32))
