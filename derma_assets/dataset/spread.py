"""A few rows for many: a sample that is the same each time."""

import numpy as np


def spread_rows(rows: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` of the rows, evenly spread and in order."""
    if len(rows) <= count:
        return np.sort(rows)
    return np.sort(rows)[np.linspace(0, len(rows) - 1, count).round().astype(int)]
