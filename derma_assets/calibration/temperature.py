"""Temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2)."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from derma_assets.calibration.reliability import nll
from derma_assets.errors import InputError

LOWEST, HIGHEST = 0.05, 20.0


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return (n, 7) float64 probabilities of (n, 7) logits divided by the temperature."""
    return np.exp(log_softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature that minimises the negative log-likelihood of `softmax(logits / temperature)`.

    One number divides all logits, so the order of the classes, and with it every prediction, stays the same. The
    likelihood has a single optimum in the logarithm of the temperature; it is searched for between 0.05 and 20.

    Args:
        logits: (n, 7) finite.
        labels: (n,) index of the true class.

    Raises:
        InputError: there are no pictures, or the shapes do not fit.
    """
    if logits.ndim != 2 or len(logits) != len(labels) or len(labels) == 0:
        raise InputError(
            f"a temperature needs logits (n, 7) and labels (n,) of at least one picture, got {logits.shape} and "
            f"{labels.shape}."
        )
    found = minimize_scalar(
        lambda log_temperature: float(nll(softmax(logits, np.exp(log_temperature)), labels)),
        bounds=(np.log(LOWEST), np.log(HIGHEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def lacks_optimum(temperature: float, nll_after: float) -> bool:
    """Return whether no temperature calibrates the logits that this one was fitted on.

    Logits that are always right are best made certain, ever lower, until the likelihood (`nll_after`, nats) cannot
    improve; logits that are noise are best made even, ever higher. Either way the fit only ran out of room.
    """
    return nll_after < 1e-6 or not LOWEST * 1.01 < temperature < HIGHEST * 0.99
