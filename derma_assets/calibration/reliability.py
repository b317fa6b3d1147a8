"""How far confidence can be believed: negative log-likelihood, reliability bins and expected calibration error.

Weighted throughout: `weights` of shape (..., n) give results of shape (...), so that 1,000 bootstrap resamples
are one matrix product. Without weights every picture counts once.
"""

import numpy as np

BINS = 15


def nll(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the mean negative log-likelihood of the true class, in nats.

    Args:
        probabilities: (n, 7), rows add up to 1; zeros count as the smallest positive float.
        labels: (n,) index of the true class.
        weights: (..., n) non-negative.
    """
    of_truth = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    losses = -np.log(np.maximum(of_truth, np.finfo(np.float64).tiny))
    weights = np.ones(len(labels)) if weights is None else weights
    return (weights @ losses) / weights.sum(axis=-1)


def reliability_bins(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort pictures by the probability of their predicted class into 15 bins of equal width.

    Bin b holds the confidences in (b/15, (b+1)/15], as in Guo et al., "On Calibration of Modern Neural Networks"
    (ICML 2017), section 2.

    Args:
        probabilities: (n, 7).
        labels: (n,) index of the true class.
        weights: (..., n) non-negative.

    Returns:
        Three (..., 15) arrays: weight of the pictures in each bin, their summed confidence, weight of the correct ones.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    in_bin = np.eye(BINS)[_bin_of(confidence)]
    weights = np.ones(len(labels)) if weights is None else weights
    return weights @ in_bin, weights @ (in_bin * confidence[:, None]), weights @ (in_bin * correct[:, None])


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the expected calibration error: the mean gap, over pictures, between confidence and accuracy of their bin.

    Of the predicted class, with 15 bins of equal width (Naeini et al., AAAI 2015; Guo et al., ICML 2017, eq. 3).
    It is never negative, so on few pictures it is above 0 even for a perfectly calibrated model:
    `error_of_right_probabilities`.

    Args:
        probabilities: (n, 7).
        labels: (n,) index of the true class.
        weights: (..., n) non-negative.
    """
    total, confidence, correct = reliability_bins(probabilities, labels, weights)
    return np.abs(correct - confidence).sum(axis=-1) / total.sum(axis=-1)


def error_of_right_probabilities(probabilities: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Return the expected calibration error of as many pictures whose probabilities were right, drawn again and again.

    Whether the predicted class is the true one is drawn by its probability (consistency resampling: Bröcker, Smith,
    "Increasing the Reliability of Reliability Diagrams", Weather and Forecasting 22, 2007), each picture by itself.
    A measured error within what this gives says nothing against the probabilities.

    Args:
        probabilities: (n, 7).
        draws: How many.
        seed: Not negative.

    Returns:
        (draws,) errors, as `expected_calibration_error` has them.
    """
    confidence, drawn = probabilities.max(axis=1), np.random.default_rng(seed)
    bin_of = _bin_of(confidence)

    def error() -> float:
        correct = drawn.random(len(confidence)) < confidence
        return float(np.abs(np.bincount(bin_of, correct - confidence)).sum()) / len(confidence)

    return np.array([error() for _ in range(draws)])


def _bin_of(confidence: np.ndarray) -> np.ndarray:
    return np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
