"""Weights that make up for rare classes."""

from collections.abc import Mapping

import numpy as np

from derma_assets.diagnoses import CODES


def class_weights(labels: np.ndarray, power: float, factors: Mapping[str, float]) -> np.ndarray:
    """Return the loss weight of every class.

    Args:
        labels: (n,) int class indices of the training pictures.
        power: 1 gives scikit-learn's "balanced" weights n / (7 * n_class), 1/2 their square root, 0 ones.
        factors: further factor by diagnosis code.

    Returns:
        (7,) float32; a class without pictures has weight 0.
    """
    counts = np.bincount(labels, minlength=len(CODES)).astype(float)
    balanced = np.divide(counts.sum() / len(CODES), counts, out=np.zeros_like(counts), where=counts > 0)
    weights = np.where(counts > 0, balanced**power, 0.0)
    return (weights * [factors.get(code, 1.0) for code in CODES]).astype(np.float32)
