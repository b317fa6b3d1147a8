"""Joining a table of pictures with their decoded pixels and their class indices."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.diagnoses import CODES


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures that can be learnt from or judged.

    Attributes:
        pictures: The table's rows whose picture could be decoded, with a fresh index.
        rows: (n,) int rows of the pixel array.
        labels: (n,) int class indices in the order of `CODES`.
    """

    pictures: pd.DataFrame
    rows: np.ndarray
    labels: np.ndarray


def labelled_pictures(arrays: ImageArrays, pictures: pd.DataFrame) -> LabelledPictures:
    """Return the pictures of a table with columns `image_id` and `dx` that `arrays` holds.

    Those it does not hold were unreadable; `raw_images` lists them, and its check decides whether a run goes on.
    """
    readable = pictures[pictures["image_id"].isin(arrays.image_ids)].reset_index(drop=True)
    labels = readable["dx"].map({code: index for index, code in enumerate(CODES)}).to_numpy(np.int64)
    return LabelledPictures(readable, arrays.rows(readable["image_id"].tolist()), labels)
