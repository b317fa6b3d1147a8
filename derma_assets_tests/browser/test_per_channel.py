"""Eight bits per weight lose little, whatever the range of each channel, and less on inputs like those given."""

import numpy as np
import pytest

from derma_assets.browser.per_channel import LARGEST, PerChannel, round_per_channel


def _kernel(rounded: PerChannel) -> np.ndarray:
    return rounded.integers * rounded.scales


def _moments(inputs: np.ndarray) -> np.ndarray:
    with_one = np.hstack([inputs, np.ones((len(inputs), 1))])
    return with_one.T @ with_one / len(inputs)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_each_channel_keeps_its_own_range(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(64, 8)) * np.geomspace(1e-4, 1e4, 8)
    rounded = round_per_channel(matrix, np.zeros(8), _moments(rng.normal(size=(1000, 64))))

    np.testing.assert_allclose(rounded.scales * LARGEST, np.abs(matrix).max(axis=0), rtol=1e-6)
    assert np.abs(rounded.integers).max() == LARGEST
    error = np.abs(_kernel(rounded) - matrix) / rounded.scales
    # Half a step, and what was made up for others.
    assert error.max() < 2


def test_errors_cancel_on_correlated_inputs(rng: np.random.Generator) -> None:
    mixed = np.maximum(rng.normal(size=(4000, 16)) @ rng.normal(size=(16, 64)) + rng.normal(size=64), 0)
    seen, new = mixed[:2000], mixed[2000:]
    matrix, bias = rng.normal(size=(64, 32)), rng.normal(size=32)
    rounded = round_per_channel(matrix, bias, _moments(seen))
    nearest = np.round(matrix / rounded.scales) * rounded.scales
    expected = new @ matrix + bias

    error = np.square(new @ _kernel(rounded) + rounded.bias - expected).mean()
    assert error < 0.4 * np.square(new @ nearest + bias - expected).mean()


def test_channels_and_inputs_of_zeros(rng: np.random.Generator) -> None:
    matrix, inputs = rng.normal(size=(12, 3)), rng.normal(size=(500, 12))
    matrix[:, 1], inputs[:, 5] = 0, 0
    rounded = round_per_channel(matrix, np.array([1.0, 2.0, 3.0]), _moments(inputs))

    assert (rounded.integers[:, 1] == 0).all()
    assert rounded.bias[1] == pytest.approx(2)
    assert np.isfinite(rounded.scales).all()
    assert np.isfinite(rounded.bias).all()
