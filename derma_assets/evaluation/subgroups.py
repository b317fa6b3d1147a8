"""How the model does by sex, age, place on the body, confirmation, and estimated skin tone.

What the estimate of skin tone can and cannot show: `dataset/skin_tone.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.calibration.reliability import expected_calibration_error
from derma_assets.calibration.summary import scored
from derma_assets.calibration.temperature import softmax
from derma_assets.dataset.metadata_schema import DX_TYPES, LOCALIZATIONS, SEXES, UNKNOWN
from derma_assets.dataset.skin_tone import OFF_SCALE, TONES
from derma_assets.evaluation import metrics
from derma_assets.evaluation.bootstrap import with_intervals

SUBGROUP_METRICS = (
    "accuracy",
    "referral_sensitivity",
    "referral_specificity",
    "melanoma_sensitivity",
    "melanoma_specificity",
    "ece_after",
)
# Places and tones with fewer lesions than this are joined.
FEWEST_LESIONS = 10
OTHER = "other"
_LIGHTER, _DARKER = "_or_lighter", "_or_darker"
_AGE_BANDS = {"0-39": (0, 40), "40-59": (40, 60), "60+": (60, np.inf)}
_INNER_TONES = list(TONES)[1:-1]
# Every attribute with its groups in the order shown.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "sex": SEXES,
    "age": (*_AGE_BANDS, UNKNOWN),
    "localization": (*LOCALIZATIONS, UNKNOWN, OTHER),
    "confirmation": DX_TYPES,
    "skin_tone": (
        next(iter(TONES)),
        *(f"{tone}{_LIGHTER}" for tone in _INNER_TONES),
        *(f"{tone}{ending}" for tone in _INNER_TONES for ending in ("", _DARKER)),
        list(TONES)[-1],
        OFF_SCALE,
        UNKNOWN,
        OTHER,
    ),
}
# Of whose pictures nothing is known that patients have in common.
LEFTOVERS = (UNKNOWN, OTHER, OFF_SCALE)


@dataclass(frozen=True)
class Measure:
    """One metric of `SUBGROUP_METRICS`.

    Attributes:
        among: (n,) bool, the pictures it is measured on: the malignant ones for a sensitivity.
        compute: From (n,) bool, whose pictures, and (..., n) weights to (...) values.
    """

    among: np.ndarray
    compute: Callable[[np.ndarray, np.ndarray], np.ndarray]


def subgroups_of(pictures: pd.DataFrame, metadata: pd.DataFrame, tones: pd.DataFrame) -> pd.DataFrame:
    """Return the group of each picture in each of `ATTRIBUTES`: one column each, in the order of `pictures`.

    Args:
        pictures: `image_id` and `lesion_id`.
        metadata: The table `raw_metadata`.
        tones: The table `skin_tone`; a picture without a row is `unknown`.
    """
    of_picture = metadata.set_index("image_id").loc[pictures["image_id"]].reset_index(drop=True)
    age = pd.Series(UNKNOWN, index=of_picture.index)
    for band, (youngest, below) in _AGE_BANDS.items():
        age[of_picture["age"].ge(youngest) & of_picture["age"].lt(below)] = band
    place = of_picture["localization"]
    lesions = pd.Series(pictures["lesion_id"].to_numpy())
    place = place.where(place.map(lesions.groupby(place).nunique()) >= FEWEST_LESIONS, OTHER)
    tone = tones.set_index("image_id")["tone"].reindex(pictures["image_id"]).fillna(UNKNOWN).reset_index(drop=True)
    return pd.DataFrame(
        {
            "sex": of_picture["sex"],
            "age": age,
            "localization": place,
            "confirmation": of_picture["dx_type"],
            "skin_tone": joined_tones(tone, lesions),
        }
    )


def joined_tones(tones: pd.Series, lesions: pd.Series) -> pd.Series:
    """Join the tones at both ends of the scale that have few lesions.

    From the darkest tone on, neighbours are joined until they have `FEWEST_LESIONS` lesions, and are then called by the
    lightest of them: `tan_or_darker`. Then the same is done from the lightest on: `light_or_lighter`. A tone in between
    stays as it is. If that joins all of them, or all together have too few, they are `other`.

    Args:
        tones: (n,) of `skin_tone.TONES`, `off_scale` or `unknown`.
        lesions: (n,) lesion of each picture.
    """
    present = [tone for tone in TONES if (tones == tone).any()]
    darkest = _fewest(present[::-1], tones, lesions)
    lightest = _fewest([tone for tone in present if tone not in darkest], tones, lesions)
    renamed = {tone: f"{darkest[-1]}{_DARKER}" for tone in darkest if len(darkest) > 1}
    renamed |= {tone: f"{lightest[-1]}{_LIGHTER}" for tone in lightest if len(lightest) > 1}
    if lesions[tones.isin(present)].nunique() < FEWEST_LESIONS or f"{next(iter(TONES))}{_DARKER}" in renamed.values():
        renamed = dict.fromkeys(present, OTHER)
    return tones.replace(renamed)


def _fewest(order: list[str], tones: pd.Series, lesions: pd.Series) -> list[str]:
    """Return the first tones of `order` that have enough lesions together, or all of them."""
    for count in range(1, len(order) + 1):
        if lesions[tones.isin(order[:count])].nunique() >= FEWEST_LESIONS:
            return order[:count]
    return order


def measures(side: LabelledLogits, temperature: float, points: Mapping[str, Any]) -> dict[str, Measure]:
    """Return `SUBGROUP_METRICS` of a model on n pictures, by name.

    Args:
        side: Logits and truth of the pictures.
        temperature: The calibrated one.
        points: For each operating point ("melanoma", "referral") a document with its `threshold`.
    """
    probabilities, labels = softmax(side.logits, temperature), side.labels
    everything = np.ones(len(labels), dtype=bool)

    def share(of: np.ndarray, among: np.ndarray) -> Measure:
        return Measure(among, lambda inside, weights: metrics.share(of, among & inside, weights))

    def calibration_error(inside: np.ndarray, weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # A resample without a picture of the group: NaN.
            return expected_calibration_error(probabilities[inside], labels[inside], weights[..., inside])

    found = {"accuracy": share(probabilities.argmax(axis=1) == labels, everything)}
    for name in ("referral", "melanoma"):
        score, positive = scored(side, temperature, name)
        called = score >= points[name]["threshold"]
        found[f"{name}_sensitivity"] = share(called, positive)
        found[f"{name}_specificity"] = share(~called, ~positive)
    found["ece_after"] = Measure(everything, calibration_error)
    return {name: found[name] for name in SUBGROUP_METRICS}


def members_of(groups: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """Return the (n,) bool pictures of every attribute and group that is there, in the order shown."""
    return {
        (attribute, group): (groups[attribute] == group).to_numpy()
        for attribute, of_attribute in ATTRIBUTES.items()
        for group in of_attribute
        if (groups[attribute] == group).any()
    }


def subgroup_table(
    side: LabelledLogits,
    groups: pd.DataFrame,
    temperature: float,
    points: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return the metrics of each subgroup that is there, and how they differ from those of all pictures.

    Args:
        side: Logits and truth of n pictures.
        groups: n rows, as `subgroups_of` returns them.
        temperature: The calibrated one.
        points: For each operating point ("melanoma", "referral") a document with its `threshold`.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.

    Returns:
        Columns `attribute`, `group`, `metric` (of `SUBGROUP_METRICS`), `value`, `low`, `high`; `to_overall`,
        `to_overall_low`, `to_overall_high`, the group minus all pictures, both of the same resample; the group's
        `images` and `lesions`, its `malignant` lesions and `melanomas`. A value is NaN where the group holds nothing to
        measure it on, such as no melanoma. The calibration error is never negative, and the larger the fewer pictures
        it is measured on: compare it between groups of like size only.
    """
    measured, members = measures(side, temperature, points), members_of(groups)
    everything = np.ones(len(side.labels), dtype=bool)

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = {}
        overall = {metric: measure.compute(everything, weights) for metric, measure in measured.items()}
        for (attribute, group), inside in members.items():
            for metric, measure in measured.items():
                value = measure.compute(inside, weights)
                found[f"{attribute}/{group}/{metric}"] = value
                found[f"{attribute}/{group}/{metric}/to_overall"] = value - overall[metric]
        return found

    both = with_intervals(statistics, side.lesions, resamples, seed)
    table, differences = both.iloc[::2].reset_index(drop=True), both.iloc[1::2]
    for column, of_difference in (("to_overall", "value"), ("to_overall_low", "low"), ("to_overall_high", "high")):
        table[column] = differences[of_difference].to_numpy()
    table[["attribute", "group", "metric"]] = table["metric"].str.split("/", expand=True)
    keys = list(zip(table["attribute"], table["group"], strict=True))
    table["images"] = [int(members[key].sum()) for key in keys]
    for column, among in (
        ("lesions", everything),
        ("malignant", measured["referral_sensitivity"].among),
        ("melanomas", measured["melanoma_sensitivity"].among),
    ):
        table[column] = [count_lesions(side, members[key] & among) for key in keys]
    first = ["attribute", "group", "metric", "value", "low", "high", "to_overall", "to_overall_low", "to_overall_high"]
    return table[[*first, "images", "lesions", "malignant", "melanomas"]]


def count_lesions(side: LabelledLogits, inside: np.ndarray) -> int:
    """Return how many lesions (n,) bool pictures show."""
    return len(np.unique(side.lesions[inside]))
