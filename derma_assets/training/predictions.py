"""The table of predictions: one row per picture, one logit per class."""

import numpy as np
import pandas as pd

from derma_assets.diagnoses import CODES

LOGIT_COLUMNS: list[str] = [f"logit_{code}" for code in CODES]


def predictions_table(pictures: pd.DataFrame, logits: np.ndarray) -> pd.DataFrame:
    """Return the columns image_id, lesion_id, dx, split of `pictures` beside the (n, 7) `logits`."""
    named = pd.DataFrame(np.asarray(logits, np.float32), columns=LOGIT_COLUMNS)
    return pd.concat([pictures[["image_id", "lesion_id", "dx", "split"]].reset_index(drop=True), named], axis=1)
