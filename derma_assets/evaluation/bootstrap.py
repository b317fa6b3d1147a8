"""95 % intervals by resampling lesions.

Pictures of one lesion resemble each other, so resampling pictures would count the same evidence several times and
give intervals that are too narrow. Whole lesions are drawn with replacement instead (the cluster bootstrap: Davison and
Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8), and the interval goes from the 2.5th to the
97.5th percentile of the resamples.

A resample is not a new set of pictures but a row of whole-number weights, how often each picture was drawn, so a
metric that takes weights is computed for hundreds of resamples at once.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

PERCENTILES = (2.5, 97.5)
# Resamples times pictures held at a time: 2 million float64 weights are 16 MB, and metrics make a few copies.
WEIGHTS_AT_A_TIME = 2_000_000

Statistics = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def lesion_weights(lesions: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield (r, n) float64 weights, `resamples` rows in all: how often each picture is in each resample of lesions.

    Args:
        lesions: (n,) number of the lesion each picture shows, 0..m-1, none left out.
        resamples: How many.
        seed: Not negative.
    """
    drawn = np.random.default_rng(seed)
    count = int(lesions.max()) + 1
    rows = max(1, WEIGHTS_AT_A_TIME // len(lesions))
    for start in range(0, resamples, rows):
        times = drawn.multinomial(count, np.full(count, 1 / count), size=min(rows, resamples - start))
        yield times[:, lesions].astype(np.float64)


def with_intervals(statistics: Statistics, lesions: np.ndarray, resamples: int, seed: int) -> pd.DataFrame:
    """Compute statistics on all pictures, with the 95 % interval of each.

    A resample in which a statistic is NaN, because it drew no lesion of a class, is left out of that statistic's
    interval. The seed alone decides the draw, so different statistics of the same pictures see the same resamples.

    Args:
        statistics: From (r, n) weights to named (r,) values.
        lesions: (n,) number of the lesion each picture shows, 0..m-1, none left out.
        resamples: How many.
        seed: Not negative.

    Returns:
        Columns `metric`, `value`, `low` and `high`, in the order of the statistics; the interval is NaN if the
        statistic is NaN in every resample.
    """
    values = statistics(np.ones((1, len(lesions))))
    drawn = [statistics(weights) for weights in lesion_weights(lesions, resamples, seed)]
    rows = []
    for name, value in values.items():
        low, high = _interval(np.concatenate([part[name] for part in drawn]))
        rows.append((name, float(value[0]), low, high))
    return pd.DataFrame(rows, columns=["metric", "value", "low", "high"])


def _interval(resampled: np.ndarray) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentile of (r,) values, NaN left out."""
    known = resampled[~np.isnan(resampled)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, PERCENTILES)
    return float(low), float(high)
