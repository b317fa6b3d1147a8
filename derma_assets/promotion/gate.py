"""Whether a new model may take the place of the served one: both judged on the same test lesions, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.calibration.labelled_logits import LabelledLogits, labelled_logits
from derma_assets.calibration.reliability import expected_calibration_error
from derma_assets.calibration.summary import scored
from derma_assets.calibration.temperature import softmax
from derma_assets.errors import InputError
from derma_assets.evaluation import metrics
from derma_assets.evaluation.bootstrap import with_intervals
from derma_assets.splits.grouped_splits import TEST

# By how much a figure may be worse: on HAM10000's test side, less than this is within what two trainings of one recipe
# differ by. On fewer lesions they differ by more.
MARGINS: dict[str, float] = {
    "melanoma_sensitivity": 0.05,
    "referral_sensitivity": 0.05,
    "macro_f1": 0.03,
    "ece": 0.02,
}
# Of these, less is better.
_ERRORS = ("ece",)


@dataclass(frozen=True)
class Judged:
    """A model as the gate sees it.

    Attributes:
        predictions: As the asset `predictions` is.
        temperature: Its calibrated temperature.
        points: Its operating points, as the asset `operating_points` is.
    """

    predictions: pd.DataFrame
    temperature: float
    points: Mapping[str, Any]


def compare(
    challenger: Judged, served: Judged, resamples: int, seed: int, margins: Mapping[str, float] = MARGINS
) -> pd.DataFrame:
    """Compare two models on the test pictures that both were tested on.

    A paired bootstrap: each resample of lesions judges both models, so that what makes a lesion hard for either
    cancels out (Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 16).

    Args:
        challenger: The new model.
        served: The one that would be replaced.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.
        margins: By how much each figure may be worse.

    Returns:
        One row for each of `margins`: `figure`, `challenger`, `served`, `gain` with `low` and `high` (its 95 %
        interval; positive is better), `margin`, and `passed`: the gain is above -margin, and the interval does not lie
        wholly below zero and beyond a tenth of the margin.

    Raises:
        InputError: no test picture is common to both.
    """
    ours, theirs = _paired(challenger.predictions, served.predictions)

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        new = _figures(ours, challenger, weights)
        old = _figures(theirs, served, weights)
        gains = {name: (old[name] - new[name]) if name in _ERRORS else (new[name] - old[name]) for name in margins}
        return {
            f"{part}/{name}": values[name]
            for part, values in (("challenger", new), ("served", old), ("gain", gains))
            for name in margins
        }

    table = with_intervals(statistics, ours.lesions, resamples, seed).set_index("metric")
    rows = []
    for name, margin in margins.items():
        gain = table.loc[f"gain/{name}"]
        surely_worse = gain["high"] < -margin / 10
        rows.append(
            {
                "figure": name,
                "challenger": table.at[f"challenger/{name}", "value"],
                "served": table.at[f"served/{name}", "value"],
                "gain": gain["value"],
                "low": gain["low"],
                "high": gain["high"],
                "margin": margin,
                "passed": bool(gain["value"] >= -margin and not surely_worse),
            }
        )
    return pd.DataFrame(rows)


def reasons(comparison: pd.DataFrame) -> list[str]:
    """Return, for each figure that stops the new model, a sentence that says by how much it is worse.

    Args:
        comparison: As `compare` returns it.
    """
    said = []
    for row in comparison[~comparison["passed"]].to_dict("records"):
        worse, least, most = (f"{-row[end]:.3f}" for end in ("gain", "high", "low"))
        said.append(
            f"{row['figure']} is {row['challenger']:.3f}, of the served model {row['served']:.3f}: {worse} worse "
            f"({least} to {most}), allowed are {row['margin']:.3f}"
        )
    return said


def _paired(challenger: pd.DataFrame, served: pd.DataFrame) -> tuple[LabelledLogits, LabelledLogits]:
    """Return both models' logits of the test pictures that both have, in one order."""
    sides = [table[table["split"] == TEST].set_index("image_id") for table in (challenger, served)]
    common = sides[0].index.intersection(sides[1].index).sort_values()
    if common.empty:
        raise InputError(
            "the new model and the served one have no test picture in common (another seed, or other data?)"
        )
    # Lesions and labels as the newer table has them: what was corrected since counts.
    truth = sides[0].loc[common, ["lesion_id", "dx"]]
    paired = [side.loc[common].assign(lesion_id=truth["lesion_id"], dx=truth["dx"]).reset_index() for side in sides]
    ours, theirs = (labelled_logits(table, TEST) for table in paired)
    return ours, theirs


def _figures(side: LabelledLogits, model: Judged, weights: np.ndarray) -> dict[str, np.ndarray]:
    probabilities = softmax(side.logits, model.temperature)
    matrix = metrics.confusion(probabilities.argmax(axis=1), side.labels, weights)
    found = {
        "macro_f1": metrics.macro(metrics.precision_recall_f1(matrix)[2]),
        "ece": expected_calibration_error(probabilities, side.labels, weights),
    }
    for name, point in model.points.items():
        score, positive = scored(side, model.temperature, name)
        found[f"{name}_sensitivity"] = metrics.share(score >= point["threshold"], positive, weights)
    return found
