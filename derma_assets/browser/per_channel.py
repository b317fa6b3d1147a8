"""Eight-bit kernels with one scale per output channel, rounded so that errors cancel on real pictures.

Folding a batch normalisation multiplies each output channel of a kernel by a factor of its own, so channels come to
differ by orders of magnitude and one range for all of them leaves the small ones a few steps: hence a range per channel
(Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", 2018, section 3.1.2).

Rounding to the nearest step is not the best rounding, since inputs of a layer are correlated: what one weight loses,
those not rounded yet can make up for. That is GPTQ (Frantar et al., "GPTQ: Accurate Post-Training Quantization for
Generative Pre-trained Transformers", ICLR 2023, section 3), here with the bias as a last weight that is never rounded.
"""

from dataclasses import dataclass

import numpy as np

# Symmetrical about zero, so that a weight of zero stays zero.
LARGEST = 127
# Share of the mean squared input that is added to the diagonal: inputs that are always zero have no inverse.
_DAMPING = 1e-3


@dataclass(frozen=True)
class PerChannel:
    """A matrix as whole numbers times one scale per output channel, and the bias that goes with it.

    Attributes:
        integers: (i, o) int16 in -127..127.
        scales: (o,) float32, positive.
        bias: (o,) float32.
    """

    integers: np.ndarray
    scales: np.ndarray
    bias: np.ndarray


def round_per_channel(matrix: np.ndarray, bias: np.ndarray, moments: np.ndarray) -> PerChannel:
    """Return `inputs @ matrix + bias` with a rounded matrix, as near as can be on inputs of the given moments.

    The scale of a channel keeps its largest weight; a channel of zeros stays one.

    Args:
        matrix: (i, o).
        bias: (o,).
        moments: (i + 1, i + 1) mean of the outer product of the inputs, with a one as the last of them, with itself.
    """
    inputs = len(matrix)
    largest = np.abs(matrix).max(axis=0)
    scales = (np.where(largest > 0, largest, 1) / LARGEST).astype(np.float32)
    damped = moments + np.eye(inputs + 1) * _DAMPING * np.diag(moments)[:inputs].mean()
    # The strongest inputs first, while most others are left to make up for them.
    order = np.append(np.argsort(-np.diag(damped)[:inputs], kind="stable"), inputs)
    left = np.vstack([matrix, bias]).astype(np.float64)[order]
    factor = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    integers = np.empty(matrix.shape, np.int16)
    for step, row in enumerate(order[:-1]):
        rounded = np.clip(np.round(left[step] / scales), -LARGEST, LARGEST)
        integers[row] = rounded
        left[step + 1 :] -= np.outer(factor[step, step + 1 :] / factor[step, step], left[step] - rounded * scales)
    return PerChannel(integers, scales, left[-1].astype(np.float32))
