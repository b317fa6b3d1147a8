"""Other cameras change colours, light and noise, each picture by itself, and nothing else."""

import numpy as np

from derma_assets.calibration.other_cameras import CAST, CONTRAST, EXPOSURE, NOISE, as_other_cameras


def grey(count: int, level: int = 128) -> np.ndarray:
    return np.full((count, 16, 16, 3), level, dtype=np.uint8)


def test_each_picture_gets_its_own_cast_light_and_noise_within_the_limits() -> None:
    taken = as_other_cameras(grey(200), np.random.default_rng(0)).astype(float)
    colours = taken.mean(axis=(1, 2))
    # Contrast stretches what the cast has spread.
    furthest = 255 * EXPOSURE + 128 * CAST * (1 + 2 * CONTRAST) + 2
    assert np.abs(colours - 128).max() < furthest
    assert np.abs(colours - 128).max() > 0.6 * furthest
    assert len(np.unique(colours[:, 0].round(3))) > 190
    noise = (taken - colours[:, None, None]).std(axis=(1, 2, 3))
    assert noise.min() < 1
    assert 0.9 * NOISE < noise.max() < 1.1 * NOISE


def test_what_is_in_the_picture_stays_where_it_is() -> None:
    pictures = grey(8, 200)
    pictures[:, 4:8, 4:8] = 60
    taken = as_other_cameras(pictures, np.random.default_rng(1))
    assert (taken.dtype, taken.shape) == (np.uint8, pictures.shape)
    inside = np.zeros((16, 16), dtype=bool)
    inside[4:8, 4:8] = True
    means = taken.mean(axis=3)
    assert (means[:, inside].max(axis=1) < means[:, ~inside].min(axis=1)).all()


def test_the_same_draw_gives_the_same_and_neither_end_wraps_around() -> None:
    pictures = np.concatenate([grey(20, 0), grey(20, 255)])
    first, again = (as_other_cameras(pictures, np.random.default_rng(2)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first[:20].max() < 80
    assert first[20:].min() > 130
    assert as_other_cameras(pictures[:0], np.random.default_rng(2)).shape == (0, 16, 16, 3)
