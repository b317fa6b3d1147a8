"""The logits and true diagnoses of one side, taken out of the table of predictions."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError
from derma_assets.training.predictions import LOGIT_COLUMNS


@dataclass(frozen=True)
class LabelledLogits:
    """What a model said about n pictures, and what they are.

    Attributes:
        logits: (n, 7) float64, classes in the order of `diagnoses.CODES`.
        labels: (n,) int64 index of the true diagnosis in `diagnoses.CODES`.
        lesions: (n,) int64 number of the lesion each picture shows, 0..lesions-1.
    """

    logits: np.ndarray
    labels: np.ndarray
    lesions: np.ndarray


def labelled_logits(predictions: pd.DataFrame, side: str) -> LabelledLogits:
    """Return the predictions for one side ("validation" or "test") as arrays.

    Args:
        predictions: `image_id`, `lesion_id`, `dx`, `split` and one `logit_<code>` per diagnosis.

    Raises:
        InputError: a column is missing, the side has no pictures, or a logit is not a finite number.
    """
    missing = [
        column for column in ("image_id", "lesion_id", "dx", "split", *LOGIT_COLUMNS) if column not in predictions
    ]
    if missing:
        raise InputError(f"predictions lack the columns {', '.join(missing)}: materialize predictions again.")
    rows = predictions[predictions["split"] == side]
    if rows.empty:
        raise InputError(f"predictions hold no {side} pictures: materialize grouped_splits and predictions again.")
    logits = rows[LOGIT_COLUMNS].to_numpy(dtype=np.float64)
    not_finite = ~np.isfinite(logits).all(axis=1)
    if not_finite.any():
        raise InputError(
            f"{int(not_finite.sum())} {side} pictures have a logit that is not a finite number, for example "
            f"{rows['image_id'].iloc[int(not_finite.argmax())]}: the training diverged, train again at a lower "
            "learning rate."
        )
    unknown = sorted(set(rows["dx"]) - set(CODES))
    if unknown:
        raise InputError(f"predictions hold unknown dx {', '.join(map(str, unknown))}; known: {', '.join(CODES)}.")
    return LabelledLogits(
        logits=logits,
        labels=rows["dx"].map(CODES.index).to_numpy(dtype=np.int64),
        lesions=pd.factorize(rows["lesion_id"], sort=True)[0].astype(np.int64),
    )
