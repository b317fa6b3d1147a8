"""Whether pictures that arrive are like those that the model was trained on: the same mix, light, focus and kind."""

import numpy as np
import pandas as pd

from derma_assets.calibration.picture_quality import QUALITY_MEASURES
from derma_assets.dataset.stored_rows import Rows
from derma_assets.diagnoses import CODES
from derma_assets.progress import progress

# So few pictures can look like anything.
LEAST_ARRIVED = 20
# A difference has to be large, and surely no chance, to be worth a warning: with thousands of pictures every tiny one
# is significant, with thirty every second one is large.
LARGE, SIGNIFICANT = 0.25, 0.001

CHANNELS = ("red", "green", "blue")
COLUMNS = ["measure", "known", "arrived", "distance", "p_value", "drifted"]


def measured(pictures: Rows) -> pd.DataFrame:
    """Return colour, light and focus of pictures: each channel's mean, 0..255, and the measures of the input guard.

    Args:
        pictures: (n, S, S, 3) uint8.
    """
    rows = []
    for picture in progress(pictures, "measuring", total=len(pictures)):
        colour = picture.reshape(-1, 3).mean(axis=0)
        rows.append([*colour, *(measure(picture) for measure in QUALITY_MEASURES.values())])
    return pd.DataFrame(rows, columns=[*CHANNELS, *QUALITY_MEASURES], dtype=float)


def drift_table(known: pd.DataFrame, arrived: pd.DataFrame) -> pd.DataFrame:
    """Compare what arrived with what is known, measure by measure.

    Args:
        known: One row for each picture that the model was made of: `dx`, and columns of numbers.
        arrived: The same of the new pictures; at least `LEAST_ARRIVED` for anything to be said to have drifted.

    Returns:
        `measure`; `known` and `arrived`, its means; `distance`, from 0 (alike) to 1 (nothing in common): the largest
        distance of the two distribution functions (Kolmogorov and Smirnov), of diagnoses half the sum of the
        differences of their shares; `p_value` of that or of the chi-squared test; and `drifted`.
    """
    from scipy import stats

    enough = len(arrived) >= LEAST_ARRIVED
    rows = [_diagnoses(known["dx"], arrived["dx"])]
    for measure in known.columns.drop("dx"):
        one, other = known[measure].dropna(), arrived[measure].dropna()
        if one.empty or other.empty:
            continue
        test = stats.ks_2samp(one, other)
        rows.append((measure, one.mean(), other.mean(), float(test.statistic), float(test.pvalue)))
    table = pd.DataFrame(rows, columns=COLUMNS[:-1])
    return table.assign(drifted=enough & (table["distance"] >= LARGE) & (table["p_value"] < SIGNIFICANT))


def drifted(table: pd.DataFrame) -> str:
    """Return what has drifted, with its distance, or nothing.

    Args:
        table: As `drift_table` returns it.
    """
    return ", ".join(f"{row.measure} (distance {row.distance:.2f})" for row in table[table["drifted"]].itertuples())


def class_shares(known: pd.Series, arrived: pd.Series) -> pd.DataFrame:
    """Return the share of each diagnosis among known and arrived pictures: columns `dx`, `known`, `arrived`."""
    sides = {"known": known, "arrived": arrived}
    shares = {name: side.value_counts(normalize=True) for name, side in sides.items()}
    return pd.DataFrame(shares).reindex(list(CODES)).fillna(0.0).rename_axis("dx").reset_index()


def _diagnoses(known: pd.Series, arrived: pd.Series) -> tuple[str, float, float, float, float]:
    from scipy import stats

    shares = class_shares(known, arrived)
    distance = float((shares["known"] - shares["arrived"]).abs().sum() / 2)
    counts = np.array([of.value_counts().reindex(list(CODES), fill_value=0) for of in (known, arrived)])
    counts = counts[:, counts.sum(axis=0) > 0]
    p_value = float(stats.chi2_contingency(counts).pvalue) if counts.shape[1] > 1 and len(arrived) else 1.0
    return ("diagnoses", float("nan"), float("nan"), distance, p_value)
