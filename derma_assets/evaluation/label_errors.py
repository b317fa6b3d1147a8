"""Labels that are probably wrong, by confident learning (Northcutt et al., JAIR 70, 2021; the library cleanlab).

It compares each label with what a model says that has not seen the picture, and takes into account how sure the model
usually is of each diagnosis. What it finds are disagreements: with a model that is wrong on a fifth of the pictures,
most of them are the model's mistakes. Most labels of HAM10000 are histopathology, which a picture cannot overrule.
"""

import numpy as np
import pandas as pd

from derma_assets.calibration.temperature import softmax
from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError
from derma_assets.training.predictions import LOGIT_COLUMNS

PROBABILITY_COLUMNS: list[str] = [f"probability_{code}" for code in CODES]


def out_of_sample_probabilities(predictions: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """Return `image_id` and `PROBABILITY_COLUMNS` from a table of logits of pictures that were not trained on.

    Args:
        predictions: `image_id` and one `logit_<code>` per diagnosis.
        temperature: The calibrated one.
    """
    probabilities = softmax(predictions[LOGIT_COLUMNS].to_numpy(np.float64), temperature)
    return pd.concat(
        [predictions[["image_id"]].reset_index(drop=True), pd.DataFrame(probabilities, columns=PROBABILITY_COLUMNS)],
        axis=1,
    )


def label_errors(pictures: pd.DataFrame, probabilities: pd.DataFrame) -> pd.DataFrame:
    """Return how credible the label of each picture is, for those with out-of-sample probabilities.

    Args:
        pictures: `image_id` and `dx`.
        probabilities: `image_id` and `PROBABILITY_COLUMNS`, by a model that had not seen the picture: of held-out
            sides, or of all pictures by cross-validation. Pictures that are not in it are left out.

    Returns:
        `image_id`, `label_quality` (probability of the given label, 0..1), `predicted` (likeliest diagnosis),
        `predicted_probability`, `label_error` (whether cleanlab thinks the label wrong, by class and by noise rate).

    Raises:
        InputError: a picture has two rows of probabilities.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    twice = probabilities["image_id"][probabilities["image_id"].duplicated()]
    if len(twice):
        raise InputError(
            f"{len(twice)} pictures have two rows of out-of-sample probabilities, for example {twice.iloc[0]}: a "
            "picture is out of sample once."
        )
    known = pictures[["image_id", "dx"]].merge(probabilities, on="image_id")
    given = known["dx"].map(CODES.index).to_numpy(dtype=np.int64)
    of_classes = known[PROBABILITY_COLUMNS].to_numpy(np.float64)
    # cleanlab wants labels 0..k-1 with none left out: a diagnosis that no picture has is nobody's true label here.
    there, labels = np.unique(given, return_inverse=True)
    among = of_classes[:, there] / of_classes[:, there].sum(axis=1, keepdims=True)
    wrong = np.zeros(len(known), dtype=bool)
    if len(there) > 1:
        wrong = find_label_issues(labels, among, filter_by="both", n_jobs=1)
    first = of_classes.argmax(axis=1)
    return pd.DataFrame(
        {
            "image_id": known["image_id"],
            "label_quality": get_label_quality_scores(labels, among) if len(there) > 1 else 1.0,
            "predicted": np.array(CODES)[first],
            "predicted_probability": of_classes[np.arange(len(known)), first],
            "label_error": wrong & (first != given),
        }
    )
