"""A sample that is spread over all, and the same each time."""

import numpy as np

from derma_assets.dataset.spread import spread_rows


def test_rows_are_spread_and_in_order() -> None:
    assert spread_rows(np.array([9, 1, 5]), 5).tolist() == [1, 5, 9]
    assert spread_rows(np.arange(100), 5).tolist() == [0, 25, 50, 74, 99]
