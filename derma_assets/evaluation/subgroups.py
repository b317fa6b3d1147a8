"""How the model does on the patients and places it was tested on: by sex, age, place on the body, and confirmation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.calibration.summary import scored
from derma_assets.dataset.metadata_schema import DX_TYPES, LOCALIZATIONS, SEXES, UNKNOWN
from derma_assets.evaluation import metrics
from derma_assets.evaluation.bootstrap import with_intervals

SUBGROUP_METRICS = ("accuracy", "referral_sensitivity", "referral_specificity", "melanoma_sensitivity")
# Places with fewer lesions than this are joined.
FEWEST_LESIONS = 10
OTHER = "other"
_AGE_BANDS = {"0-39": (0, 40), "40-59": (40, 60), "60+": (60, np.inf)}
# Every attribute with its groups in the order shown.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "sex": SEXES,
    "age": (*_AGE_BANDS, UNKNOWN),
    "localization": (*LOCALIZATIONS, UNKNOWN, OTHER),
    "confirmation": DX_TYPES,
}


def subgroups_of(pictures: pd.DataFrame, metadata: pd.DataFrame) -> pd.DataFrame:
    """Return the group of each picture in each of `ATTRIBUTES`: one column each, in the order of `pictures`.

    Args:
        pictures: `image_id` and `lesion_id`.
        metadata: The table `raw_metadata`.
    """
    of_picture = metadata.set_index("image_id").loc[pictures["image_id"]].reset_index(drop=True)
    age = pd.Series(UNKNOWN, index=of_picture.index)
    for band, (youngest, below) in _AGE_BANDS.items():
        age[of_picture["age"].ge(youngest) & of_picture["age"].lt(below)] = band
    place = of_picture["localization"]
    lesions = pd.Series(pictures["lesion_id"].to_numpy()).groupby(place).nunique()
    place = place.where(place.map(lesions) >= FEWEST_LESIONS, OTHER)
    return pd.DataFrame(
        {"sex": of_picture["sex"], "age": age, "localization": place, "confirmation": of_picture["dx_type"]}
    )


def subgroup_table(
    side: LabelledLogits,
    groups: pd.DataFrame,
    temperature: float,
    points: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return the metrics of each subgroup that is there.

    Args:
        side: Logits and truth of n pictures.
        groups: n rows, as `subgroups_of` returns them.
        temperature: The calibrated one.
        points: For each operating point ("melanoma", "referral") a document with its `threshold`.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.

    Returns:
        Columns `attribute`, `group`, `metric` (of `SUBGROUP_METRICS`), `value`, `low`, `high`, and the group's `images`
        and `lesions`. A value is NaN where the group holds nothing to measure it on, such as no melanoma.
    """
    correct = side.logits.argmax(axis=1) == side.labels
    everything = np.ones(len(correct), dtype=bool)
    called, positive = {}, {}
    for name, point in points.items():
        score, positive[name] = scored(side, temperature, name)
        called[name] = score >= point["threshold"]
    measured = {
        "accuracy": (correct, everything),
        "referral_sensitivity": (called["referral"], positive["referral"]),
        "referral_specificity": (~called["referral"], ~positive["referral"]),
        "melanoma_sensitivity": (called["melanoma"], positive["melanoma"]),
    }
    members = {
        (attribute, group): (groups[attribute] == group).to_numpy()
        for attribute, of_attribute in ATTRIBUTES.items()
        for group in of_attribute
        if (groups[attribute] == group).any()
    }

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {
            f"{attribute}/{group}/{metric}": metrics.share(of, among & inside, weights)
            for (attribute, group), inside in members.items()
            for metric, (of, among) in measured.items()
        }

    table = with_intervals(statistics, side.lesions, resamples, seed)
    table[["attribute", "group", "metric"]] = table["metric"].str.split("/", expand=True)
    keys = list(zip(table["attribute"], table["group"], strict=True))
    table["images"] = [int(members[key].sum()) for key in keys]
    table["lesions"] = [len(np.unique(side.lesions[members[key]])) for key in keys]
    return table[["attribute", "group", "metric", "value", "low", "high", "images", "lesions"]]
