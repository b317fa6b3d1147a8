"""How many good pictures the guard refuses, how many bad ones of each kind, and for which reason."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from derma_assets.calibration.input_guard import REASONS, InputGuard
from derma_assets.dataset.stored_rows import Rows
from derma_assets.evaluation.unsuitable_pictures import KINDS, OF_LESIONS, unsuitable_pictures

GOOD = "good"
EXAMPLES = 10
# Pictures that are spoilt at once: some hundred megabytes at 160 px.
_AT_ONCE = 1000
# Two-sided 95 % quantile of the normal distribution.
_Z = 1.959964


@dataclass(frozen=True)
class Judged:
    """What the guard said of pictures of one kind.

    Attributes:
        kind: `good`, or one of `unsuitable_pictures.KINDS`.
        reasons: (n,) of text, "" for a picture that was accepted.
        examples: The first few pictures, (m, S, S, 3) uint8.
    """

    kind: str
    reasons: np.ndarray
    examples: np.ndarray


def judge_kinds(guard: InputGuard, features_of: Callable[..., np.ndarray], good: Rows, seed: int) -> Iterator[Judged]:
    """Yield what the guard says of the good pictures, then of as many bad ones of each kind.

    Args:
        guard: With limits that were chosen on other pictures.
        features_of: Gives the features that `guard.measured` takes of (n, S, S, 3) uint8 pictures; told `what` they
            are, to be shown beside the progress.
        good: (n, S, S, 3) uint8 pictures that the model was made for.
        seed: Of the bad pictures.
    """
    for kind in (GOOD, *KINDS):
        reasons, examples = [], np.empty(0)
        for part, start in enumerate(range(0, len(good), _AT_ONCE)):
            some = good[start : start + _AT_ONCE]
            pictures = some if kind == GOOD else unsuitable_pictures(kind, some, seed, part)
            reasons.append(guard.refusals(guard.measured(pictures, features_of(pictures, what=kind))))
            examples = examples if part else np.array(pictures[:EXAMPLES])
        yield Judged(kind, np.concatenate(reasons), examples)


def refusal_table(judged: Sequence[Judged], lesions: int) -> pd.DataFrame:
    """Return how many pictures of each kind were refused.

    Args:
        judged: One for each kind.
        lesions: How many lesions the good pictures show.

    Returns:
        Columns `kind`, `bad` (whether a refusal is right), `pictures`, `refused`, `share`, `low` and `high` (its 95 %
        interval), and how many were refused for each of `REASONS`. The interval takes pictures of one lesion for one
        picture, which makes it rather too wide than too narrow; that of crops of a few photographs is about crops
        of these photographs only.
    """
    rows = []
    for one in judged:
        pictures, refused = len(one.reasons), int((one.reasons != "").sum())
        independent = lesions if one.kind == GOOD or one.kind in OF_LESIONS else pictures
        low, high = wilson_interval(refused / pictures, independent)
        reasons = {reason: int((one.reasons == reason).sum()) for reason in REASONS}
        rows.append(
            {
                "kind": one.kind,
                "bad": one.kind != GOOD,
                "pictures": pictures,
                "refused": refused,
                "share": refused / pictures,
                "low": low,
                "high": high,
                **reasons,
            }
        )
    return pd.DataFrame(rows)


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share of `count` independent pictures (Wilson, JASA 22, 1927).

    Unlike the bootstrap's, it has a width where all or none of the pictures are refused.
    """
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z / (1 + _Z**2 / count) * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)
