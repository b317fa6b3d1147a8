"""What can be changed of a trained model without training it again: how many views, and how its logits are adjusted.

Logit adjustment (Menon et al., "Long-tail learning via logit adjustment", ICLR 2021) subtracts a multiple of the
logarithm of each diagnosis's share in training: above 0 the rare diagnoses are called oftener, below 0 less often.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from derma_assets.diagnoses import CODES
from derma_assets.release.layout import PREDICTIONS, SPLITS
from derma_assets.splits.grouped_splits import TRAIN
from derma_assets.study.validation_figures import validation_table

STRENGTHS = (-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
VIEWS = (1, 4, 8)


def class_shares(splits: pd.DataFrame) -> np.ndarray:
    """Return the share of each diagnosis among the training pictures: (7,) float64.

    Args:
        splits: Columns `dx` and `split`.
    """
    train = splits.loc[splits["split"] == TRAIN, "dx"]
    return train.value_counts(normalize=True).reindex(list(CODES)).to_numpy(np.float64)


def adjusted(predictions: pd.DataFrame, shares: np.ndarray, strength: float) -> pd.DataFrame:
    """Return the table with `strength * log(shares)` subtracted from its logits.

    Args:
        predictions: With a column `logit_<dx>` for each diagnosis.
        shares: (7,) shares of the diagnoses in training.
        strength: 0 leaves the logits as they are; 1 is as if all diagnoses were equally frequent.
    """
    columns = [f"logit_{code}" for code in CODES]
    return predictions.assign(**{
        column: predictions[column] - strength * logarithm
        for column, logarithm in zip(columns, np.log(shares), strict=True)
    })  # fmt: skip


def adjustment_table(
    predictions: pd.DataFrame,
    shares: np.ndarray,
    resamples: int,
    seed: int,
    *,
    strengths: Sequence[float] = STRENGTHS,
    views: Sequence[int] = VIEWS,
) -> pd.DataFrame:
    """Return the figures on validation for each strength of adjustment and number of views.

    Args:
        predictions: As the asset `view_predictions` is; only its validation pictures are read.
        shares: (7,) shares of the diagnoses in training.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.
        strengths: Of the adjustment.
        views: Numbers of views.

    Returns:
        Columns `strength`, `views`, `metric`, `value`, `low`, `high`.
    """
    tables = [
        validation_table(adjusted(predictions, shares, strength), resamples, seed, views).assign(strength=strength)
        for strength in strengths
    ]
    return pd.concat(tables, ignore_index=True)[["strength", "views", "metric", "value", "low", "high"]]


def of_release(folder: Path, resamples: int, seed: int) -> pd.DataFrame:
    """Return `adjustment_table` of a released model, from the logits and the split that it ships."""
    shares = class_shares(pd.read_parquet(folder / SPLITS))
    return adjustment_table(pd.read_parquet(folder / PREDICTIONS), shares, resamples, seed)
