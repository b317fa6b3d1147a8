"""Thresholds on a score, chosen on validation: at a wanted specificity, or at a wanted sensitivity.

A picture is called positive if, and only if, its score is at or above the threshold. Pictures with equal scores
cannot be told apart, so they are called positive or negative together, and a target is always met, never just missed:
ties cost sensitivity where the specificity is given, and specificity where the sensitivity is given.

Any threshold between two neighbouring scores of the validation pictures gives the same calls on all of them.
The middle of that gap is taken, so that the same picture scored with the rounding of another device or of 32-bit floats
gets the same call, and never a picture at the very edge another one.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it does on the pictures it was chosen on.

    Attributes:
        threshold: Positive if the score is at or above it.
        target: The specificity or sensitivity asked for.
        target_of: Which of the two.
        sensitivity: Share of the positive pictures called positive.
        specificity: Share of the negative pictures called negative.
        ppv: Share of the pictures called positive that are; None when none is called positive.
        referral_share: Share of all pictures called positive.
        images: Number of pictures.
        positives: How many of them are truly positive.
        true_positives: How many of these are called positive.
        false_positives: How many negative pictures are called positive.
    """

    threshold: float
    target: float
    target_of: Literal["specificity", "sensitivity"]
    sensitivity: float
    specificity: float
    ppv: float | None
    referral_share: float
    images: int
    positives: int
    true_positives: int
    false_positives: int

    def document(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


def score_of(probabilities: np.ndarray, codes: tuple[str, ...]) -> np.ndarray:
    """Return (n,) summed probability of the diagnoses `codes` from (n, 7) probabilities."""
    return probabilities[:, [CODES.index(code) for code in codes]].sum(axis=1)


def is_any_of(labels: np.ndarray, codes: tuple[str, ...]) -> np.ndarray:
    """Return (n,) bool: whether the true diagnosis is one of `codes`, from (n,) indices into `diagnoses.CODES`."""
    return np.isin(labels, [CODES.index(code) for code in codes])


def at_specificity(scores: np.ndarray, positive: np.ndarray, target: float) -> OperatingPoint:
    """Return the operating point of highest sensitivity whose specificity is at least `target`.

    Args:
        scores: (n,) in 0..1, higher means more likely positive.
        positive: (n,) bool truth.
        target: Wanted specificity, 0..1.

    Raises:
        InputError: the positive or the negative pictures are missing, or a score is not a number from 0 to 1.
    """
    cuts, _, specificity = _sweep(scores, positive)
    # Specificity rises with the threshold; the first to reach the target is the most sensitive that does.
    return _point(scores, positive, float(cuts[np.argmax(_at_least(specificity, target))]), target, "specificity")


def at_sensitivity(scores: np.ndarray, positive: np.ndarray, target: float) -> OperatingPoint:
    """Return the operating point of highest threshold, so highest specificity, with a sensitivity of at least `target`.

    Args:
        scores: (n,) in 0..1, higher means more likely positive.
        positive: (n,) bool truth.
        target: Wanted sensitivity, 0..1.

    Raises:
        InputError: the positive or the negative pictures are missing, or a score is not a number from 0 to 1.
    """
    cuts, sensitivity, _ = _sweep(scores, positive)
    return _point(
        scores, positive, float(cuts[np.nonzero(_at_least(sensitivity, target))[0][-1]]), target, "sensitivity"
    )


def _at_least(rates: np.ndarray, target: float) -> np.ndarray:
    # 19 of 20 must count as 0.95 however the division is rounded.
    return rates >= target - 1e-12


def _sweep(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every threshold that tells pictures apart, rising, with its sensitivity and specificity: (k,) each.

    The first calls every picture positive, the last none.
    """
    if positive.all() or not positive.any():
        raise InputError(
            f"a threshold needs positive and negative validation pictures, got {int(positive.sum())} positive of "
            f"{len(positive)}: hold out more lesions for validation."
        )
    if not ((scores >= 0) & (scores <= 1 + 1e-9)).all():
        raise InputError("scores must be probabilities from 0 to 1: materialize predictions again.")
    distinct = np.unique(scores)
    above_all = np.nextafter(max(1.0, distinct[-1]), 2.0)
    cuts = np.append((np.append(0.0, distinct[:-1]) + distinct) / 2, above_all)
    negatives_below = np.searchsorted(np.sort(scores[~positive]), cuts, side="left")
    positives_below = np.searchsorted(np.sort(scores[positive]), cuts, side="left")
    return cuts, 1 - positives_below / positive.sum(), negatives_below / (~positive).sum()


def _point(
    scores: np.ndarray,
    positive: np.ndarray,
    threshold: float,
    target: float,
    target_of: Literal["specificity", "sensitivity"],
) -> OperatingPoint:
    called = scores >= threshold
    hits, false_alarms = int((called & positive).sum()), int((called & ~positive).sum())
    return OperatingPoint(
        threshold=threshold,
        target=target,
        target_of=target_of,
        sensitivity=hits / int(positive.sum()),
        specificity=1 - false_alarms / int((~positive).sum()),
        ppv=hits / (hits + false_alarms) if hits + false_alarms else None,
        referral_share=(hits + false_alarms) / len(scores),
        images=len(scores),
        positives=int(positive.sum()),
        true_positives=hits,
        false_positives=false_alarms,
    )
