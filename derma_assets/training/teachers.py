"""What teachers say of pictures that they have not learnt from, to learn from beside the labels.

A label says melanoma or not; a trained model also says how alike the others are (Hinton, Vinyals, Dean, "Distilling the
Knowledge in a Neural Network", 2015). Of a picture that it has learnt from it only repeats the label, so every teacher
is trained without one part of the training lesions and asked about that part (cross-fitting: Dao et al., "Knowledge
Distillation as Semiparametric Inference", ICLR 2021).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import softmax

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError
from derma_assets.progress import bar
from derma_assets.splits.grouped_splits import TEST, TRAIN, in_order
from derma_assets.training.labelled_pictures import labelled_pictures
from derma_assets.training.predictions import LOGIT_COLUMNS, predictions_table
from derma_assets.training.predictor import Predictor
from derma_assets.training.views import view_predictions_table

# Views of a picture that a teacher's word is the mean of.
_VIEWS = 4


def teachers_splits(splits: pd.DataFrame, teachers: int, seed: int) -> list[pd.DataFrame]:
    """Return for each teacher the split that it is trained with: what it is asked about is its test side.

    Args:
        splits: Columns image_id, lesion_id, dx, split. Test pictures are left out: no teacher sees them.
        teachers: How many, at least 2.
        seed: Of the dealing, which depends on it and the lesions' identifiers alone.

    Raises:
        InputError: a diagnosis has fewer training lesions than there are teachers, so that one would not know it.
    """
    seen = splits[splits["split"] != TEST]
    part_of: dict[str, int] = {}
    for dx, group in seen[seen["split"] == TRAIN].drop_duplicates("lesion_id").groupby("dx", sort=True):
        if len(group) < teachers:
            raise InputError(
                f"{dx} has {len(group)} training lesions, fewer than the {teachers} teachers of the recipe: choose a "
                "recipe without teachers, or with fewer (teacher_folds)."
            )
        for lesion in in_order(group["lesion_id"].tolist(), f"{seed}/teachers"):
            part_of[lesion] = len(part_of) % teachers
    parts = seen["lesion_id"].map(part_of)
    return [seen.assign(split=seen["split"].where(parts != teacher, TEST)) for teacher in range(teachers)]


def soft_targets(
    arrays: ImageArrays,
    splits: pd.DataFrame,
    *,
    teachers: int,
    share: float,
    seed: int,
    train: Callable[[int, pd.DataFrame], object],
) -> np.ndarray:
    """Return what is to be learnt of each training picture: label and teacher's word, mixed.

    Args:
        arrays: The decoded pictures.
        splits: Columns image_id, lesion_id, dx, split.
        teachers: How many, at least 2.
        share: Share of the teacher's word, 0..1.
        seed: See `teachers_splits`.
        train: Returns the model of a teacher, given its number from 0 and its split.

    Returns:
        (n, 7) float32, rows summing to 1, in the order of `labelled_pictures` of the training side.
    """
    pictures = labelled_pictures(arrays, splits[splits["split"] == TRAIN])
    targets = np.eye(len(CODES), dtype=np.float32)[pictures.labels]
    position = pd.Series(np.arange(len(pictures.pictures)), pictures.pictures["image_id"])
    with bar(teachers, "teachers", "teachers") as shown:
        for number, its in enumerate(teachers_splits(splits, teachers, seed)):
            model = train(number, its)
            asked = labelled_pictures(arrays, its[its["split"] == TEST])
            found = arrays.pixels.at(asked.rows)
            said = predictions_table(asked.pictures, Predictor(model)(found, what="asking the teacher"))
            said = view_predictions_table(model, found, said, counts=(1, _VIEWS))
            said = said[said["views"] == _VIEWS]
            there = position[said["image_id"]].to_numpy()
            word = softmax(said[LOGIT_COLUMNS].to_numpy(np.float64), axis=1)
            targets[there] = (1 - share) * targets[there] + share * word.astype(np.float32)
            shown.update()
    return targets
