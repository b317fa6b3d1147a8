"""The eight flips and turns of a square picture, and the logits averaged over them.

A lesion has no upright side, so all eight are as good as the first: averaging what the model says of them
takes off some of its error (test-time augmentation: Krizhevsky, Sutskever, Hinton, NIPS 2012, section 4.1).
"""

import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.dataset.stored_rows import Rows
from derma_assets.training.predictions import LOGIT_COLUMNS
from derma_assets.training.predictor import Predictor

# Averages over the first so many views are considered.
COUNTS: tuple[int, ...] = (1, 2, 4, 8)


def dihedral_views(pictures: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the eight views of square pictures, without copying.

    In this order, which the page repeats (browser/web/src/engine/views.ts): as they are, turned by 90, 180 and 270
    degrees counter-clockwise, and the same four of the left-right mirror image.

    Args:
        pictures: (n, S, S, 3).
    """
    for upright in (pictures, pictures[:, :, ::-1]):
        for turns in range(4):
            yield np.rot90(upright, turns, axes=(1, 2))


def _view(pictures: np.ndarray, number: int) -> np.ndarray:
    """Return one of the eight views of pictures, counted from 1."""
    return next(itertools.islice(dihedral_views(pictures), number - 1, None))


def view_predictions_table(
    model: Any, pictures: Rows, predictions: pd.DataFrame, counts: Sequence[int] = COUNTS
) -> pd.DataFrame:
    """Return the mean logits over the first 1, 2, 4 and 8 views of each picture.

    Args:
        model: The trained classifier.
        pictures: (n, S, S, 3) uint8.
        predictions: One row for each of the pictures: what the model says of the first view.
        counts: Other numbers of views, the first of them 1.

    Returns:
        The columns of `predictions` and `views`, how many were averaged; n rows for each of `counts`, in that order.
    """
    predict = Predictor(model)
    summed = predictions[LOGIT_COLUMNS].to_numpy(dtype=np.float64)
    parts = [predictions.assign(views=1)]
    for number in range(2, max(counts) + 1):
        what = f"view {number} of {max(counts)}"
        summed = summed + predict(pictures, what=what, turned=partial(_view, number=number))
        if number in counts:
            mean = pd.DataFrame((summed / number).astype(np.float32), columns=LOGIT_COLUMNS, index=predictions.index)
            parts.append(predictions.assign(**mean, views=number))
    return pd.concat(parts, ignore_index=True)


def changed_calls(table: pd.DataFrame) -> dict[int, float]:
    """Return, for each number of views above one, the share of pictures whose first diagnosis is another than of one.

    Args:
        table: As `view_predictions_table` returns it.
    """
    calls = {
        count: table.loc[table["views"] == count, LOGIT_COLUMNS].to_numpy().argmax(axis=1)
        for count in table["views"].unique().tolist()
    }
    return {count: float((calls[count] != calls[1]).mean()) for count in calls if count > 1}
