"""How far apart the groups of patients are: the largest minus the smallest value of each metric (fairlearn)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.evaluation.bootstrap import with_intervals
from derma_assets.evaluation.subgroups import (
    ATTRIBUTES,
    FEWEST_LESIONS,
    LEFTOVERS,
    Measure,
    count_lesions,
    measures,
    members_of,
)


def subgroup_gaps(
    side: LabelledLogits,
    groups: pd.DataFrame,
    temperature: float,
    points: Mapping[str, Any],
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return the gap of every metric for every attribute, over the groups that have enough lesions to measure it on.

    Enough are ten lesions *of those the metric is measured on*: a sensitivity needs ten malignant ones. What is left
    over (unknown, other, off scale) is no group of patients and left out. The gap and its ends are those of fairlearn's
    `MetricFrame` (difference between groups, group minimum and maximum).

    The interval is that of the difference between these two groups, over resamples of lesions. They were chosen for
    being farthest apart, so it lies too far from 0, the more so the more groups there are; an interval that reaches 0
    shows no gap, one that does not is a reason to look closer, not proof.

    Args:
        side: Logits and truth of n pictures.
        groups: n rows, as `subgroups_of` returns them.
        temperature: The calibrated one.
        points: For each operating point ("melanoma", "referral") a document with its `threshold`.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.

    Returns:
        Columns `attribute`, `metric`, `groups` (how many were compared), `lowest_group`, `lowest`, `highest_group`,
        `highest`, `value` (the gap), `low`, `high`, and `to_overall`, the largest absolute difference of a group to all
        pictures compared. With fewer than two groups, names are empty and numbers NaN.
    """
    measured, members = measures(side, temperature, points), members_of(groups)
    rows = []
    for attribute in ATTRIBUTES:
        of_attribute = {
            group: inside for (of, group), inside in members.items() if of == attribute and group not in LEFTOVERS
        }
        for metric, measure in measured.items():
            compared = {
                group: inside
                for group, inside in of_attribute.items()
                if count_lesions(side, inside & measure.among) >= FEWEST_LESIONS
            }
            rows.append({"attribute": attribute, "metric": metric, **_ends(measure, compared)})
    table = pd.DataFrame(rows)

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = {}
        for at, row in enumerate(rows):
            highest, lowest = (members.get((row["attribute"], row[end])) for end in ("highest_group", "lowest_group"))
            measure = measured[row["metric"]]
            found[str(at)] = (
                np.full(len(weights), np.nan)
                if highest is None or lowest is None
                else measure.compute(highest, weights) - measure.compute(lowest, weights)
            )
        return found

    intervals = with_intervals(statistics, side.lesions, resamples, seed)
    table["low"], table["high"] = intervals["low"], intervals["high"]
    order = ["lowest_group", "lowest", "highest_group", "highest", "value", "low", "high", "to_overall"]
    return table[["attribute", "metric", "groups", *order]]


def _ends(measure: Measure, compared: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return what fairlearn says of one metric over groups, each given as (n,) bool pictures."""
    from fairlearn.metrics import MetricFrame

    if len(compared) < 2:
        nothing = float("nan")
        unnamed = {"groups": len(compared), "lowest_group": "", "highest_group": ""}
        return {**unnamed, "lowest": nothing, "highest": nothing, "value": nothing, "to_overall": nothing}
    names, pictures = np.array(list(compared)), np.stack(list(compared.values()))
    rows = np.nonzero(pictures.any(axis=0))[0]

    def of_rows(chosen: np.ndarray, _: np.ndarray) -> float:
        inside = np.zeros(pictures.shape[1], dtype=bool)
        inside[np.asarray(chosen)] = True
        return float(measure.compute(inside, np.ones(len(inside))))

    # The frame hands out parts of what it is given as truth: here which pictures, so that the metric is ours.
    frame = MetricFrame(
        metrics=of_rows, y_true=rows, y_pred=rows, sensitive_features=names[pictures[:, rows].argmax(axis=0)]
    )
    return {
        "groups": len(compared),
        "lowest_group": str(frame.by_group.idxmin()),
        "lowest": float(frame.group_min()),
        "highest_group": str(frame.by_group.idxmax()),
        "highest": float(frame.group_max()),
        "value": float(frame.difference(method="between_groups")),
        "to_overall": float(frame.difference(method="to_overall")),
    }
