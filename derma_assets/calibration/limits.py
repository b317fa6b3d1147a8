"""Between which limits a picture is accepted: chosen on validation pictures, all of which are good."""

import math
from collections.abc import Mapping

import numpy as np

UNFAMILIARITY = "unfamiliarity"
# Share of validation that each end of each measure may refuse, 1.05 % in all: limits from half of HAM10000's validation
# lesions then refused 1.3 % of the other half on average. Most goes to unfamiliarity: good pictures have few but far
# outliers, and with half its share a tenth of the crops of a cat passed, with this none.
LOW_SHARES: dict[str, float] = {"brightness": 0.0005, "sharpness": 0.0005, "lesion_contrast": 0.001}
HIGH_SHARES: dict[str, float] = {"brightness": 0.0005, UNFAMILIARITY: 0.008}
# Where a share is less than one picture, the limit is beyond the extreme: the fewer pictures, the farther.
MARGIN = 2.0
BRIGHTEST = 255.0


def choose_limits(values: Mapping[str, np.ndarray]) -> dict[str, tuple[float | None, float | None]]:
    """Return the lowest and the highest value accepted of each measure, None where that end refuses nothing.

    A limit lies midway between the last picture refused and the first one accepted. Where not one may be refused, it
    lies beyond the extreme by a factor of 1 + 2 / sqrt(n): limits from 40 random pictures of HAM10000's validation then
    refused 2.4 % of the rest, on average, from 100 1.5 %, from 300 0.8 %. For the brightest, what the factor makes
    smaller is the way left to white.

    Args:
        values: (n,) numbers by name of measure, all of good pictures; n at least 2.
    """
    return {
        name: (
            _low(of_name, LOW_SHARES[name]) if name in LOW_SHARES else None,
            _high(name, of_name, HIGH_SHARES[name]) if name in HIGH_SHARES else None,
        )
        for name, of_name in values.items()
    }


def _low(values: np.ndarray, share: float) -> float:
    rising, refused = np.sort(values), int(share * len(values))
    if refused:
        return float((rising[refused - 1] + rising[refused]) / 2)
    return float(rising[0] / _margin(values))


def _high(name: str, values: np.ndarray, share: float) -> float:
    falling, refused = np.sort(values)[::-1], int(share * len(values))
    if refused:
        return float((falling[refused - 1] + falling[refused]) / 2)
    if name == "brightness":
        return float(BRIGHTEST - (BRIGHTEST - falling[0]) / _margin(values))
    return float(falling[0] * _margin(values))


def _margin(values: np.ndarray) -> float:
    return 1 + MARGIN / math.sqrt(len(values))
