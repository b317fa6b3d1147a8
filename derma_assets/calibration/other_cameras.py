"""Good pictures as another camera would have taken them: what must not be mistaken for pictures of another kind.

All of a data set's pictures come from a few cameras, so features that differ with the camera hardly vary in it, and the
least noise would look unfamiliar.
"""

import numpy as np

# White balance: largest relative gain of each colour.
CAST = 0.1
# Exposure: largest shift, as a share of full scale; and largest relative change of contrast about the mean.
EXPOSURE, CONTRAST = 0.08, 0.2
# Sensor: largest standard deviation of its noise, in grey levels.
NOISE = 8.0


def as_other_cameras(pictures: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return each picture with a colour cast, exposure, contrast and noise drawn uniformly.

    Args:
        pictures: (n, S, S, 3) uint8 RGB.
        draw: Source of randomness.

    Returns:
        (n, S, S, 3) uint8 RGB.
    """
    count = len(pictures)

    def drawn(low: float, high: float, channels: int = 1) -> np.ndarray:
        return draw.uniform(low, high, (count, 1, 1, channels)).astype(np.float32)

    changed = pictures * drawn(1 - CAST, 1 + CAST, channels=3) + 255 * drawn(-EXPOSURE, EXPOSURE)
    mean = changed.mean(axis=(1, 2, 3), keepdims=True)
    changed = mean + (changed - mean) * drawn(1 - CONTRAST, 1 + CONTRAST)
    changed += drawn(0, NOISE) * draw.standard_normal(changed.shape, dtype=np.float32)
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)
