import numpy as np
import pytest
import scipy.special
import sklearn.metrics

from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.calibration.reliability import (
    error_of_right_probabilities,
    expected_calibration_error,
    nll,
    reliability_bins,
)
from derma_assets.calibration.summary import ece_by_chance
from derma_assets.calibration.temperature import fit_temperature, lacks_optimum, softmax
from derma_assets.errors import InputError


def sampled(temperature: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Return logits whose labels were drawn from softmax(logits / temperature)."""
    draw = np.random.default_rng(0)
    logits = 3 * draw.normal(size=(count, 7))
    chances = scipy.special.softmax(logits / temperature, axis=1)
    return logits, (chances.cumsum(axis=1) > draw.random((count, 1))).argmax(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_finds_the_temperature_the_labels_were_drawn_at(temperature: float) -> None:
    logits, labels = sampled(temperature)
    fitted = fit_temperature(logits, labels)
    assert fitted == pytest.approx(temperature, rel=0.03)
    after = softmax(logits, fitted)
    assert nll(after, labels) <= nll(softmax(logits), labels)
    assert expected_calibration_error(after, labels) < 0.02


def test_no_other_temperature_is_better() -> None:
    logits, labels = sampled(1.7, count=500)
    best = nll(softmax(logits, fit_temperature(logits, labels)), labels)
    assert all(best <= nll(softmax(logits, at), labels) + 1e-9 for at in np.geomspace(0.05, 20, 200))


@pytest.mark.parametrize("margin", [0.01, 5.0, -5.0])
def test_logits_that_are_always_right_or_wrong_have_no_optimum(margin: float) -> None:
    labels = np.arange(70) % 7
    logits = margin * np.eye(7)[labels]
    fitted = fit_temperature(logits, labels)
    assert lacks_optimum(fitted, float(nll(softmax(logits, fitted), labels)))
    assert not lacks_optimum(1.0, 0.5)


def test_a_temperature_needs_pictures_and_matching_shapes() -> None:
    with pytest.raises(InputError, match="at least one picture"):
        fit_temperature(np.zeros((0, 7)), np.zeros(0, dtype=int))
    with pytest.raises(InputError, match="at least one picture"):
        fit_temperature(np.zeros((3, 7)), np.zeros(2, dtype=int))


def test_softmax_agrees_with_scipy_and_survives_large_logits() -> None:
    logits = np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)
    np.testing.assert_allclose(softmax(logits, 2.0), scipy.special.softmax(logits.astype(float) / 2, axis=1))
    assert np.isfinite(softmax(np.array([[1e4, 0, 0, 0, 0, 0, -1e4]]))).all()
    assert np.isfinite(nll(softmax(np.array([[1e4, 0, 0, 0, 0, 0, 0]])), np.array([1])))


def test_nll_agrees_with_scikit_learn() -> None:
    logits, labels = sampled(1.0, count=300)
    weights = np.random.default_rng(2).integers(0, 4, size=(2, 300)).astype(float)
    probabilities = softmax(logits)
    assert nll(probabilities, labels) == pytest.approx(sklearn.metrics.log_loss(labels, probabilities, labels=range(7)))
    for row, value in zip(weights, nll(probabilities, labels, weights), strict=True):
        expected = sklearn.metrics.log_loss(labels, probabilities, labels=range(7), sample_weight=row)
        assert value == pytest.approx(expected)


def test_right_probabilities_have_an_error_by_chance_that_falls_with_the_number_of_pictures() -> None:
    sure, even = np.eye(7)[[0, 3]], np.full((1, 7), 0.5) * np.eye(7)[0] + 0.5 * np.eye(7)[1]
    assert error_of_right_probabilities(sure, 10, seed=0).tolist() == [0.0] * 10
    assert error_of_right_probabilities(even, 10, seed=0).tolist() == [0.5] * 10
    errors = {}
    for count in (300, 30_000):
        probabilities = softmax(sampled(1.0, count=count)[0])
        errors[count] = error_of_right_probabilities(probabilities, 100, seed=1)
    # By the square root of their number; labels that were drawn so by somebody else have such an error.
    assert errors[300].mean() / errors[30_000].mean() == pytest.approx(10, rel=0.2)
    logits, labels = sampled(1.0, count=30_000)
    assert errors[30_000].min() < expected_calibration_error(softmax(logits), labels) < errors[30_000].max()
    few = sampled(1.0, count=300)
    np.testing.assert_array_equal(errors[300], error_of_right_probabilities(softmax(few[0]), 100, 1))
    chance = ece_by_chance(LabelledLogits(*few, few[1]), 1.0, 100, seed=1)
    assert chance["low"] < chance["value"] < chance["high"]
    assert chance["value"] == pytest.approx(errors[300].mean())


def test_expected_calibration_error_by_hand() -> None:
    # Three pictures at 0.9, two of them right; one at 0.5, right: (3 |2/3 - 0.9| + |1 - 0.5|) / 4.
    confidence = np.array([0.9, 0.9, 0.9, 0.5])
    probabilities = np.zeros((4, 7))
    probabilities[:, 0] = confidence
    probabilities[:, 1] = 1 - confidence - np.array([0, 0, 0, 0.25])
    probabilities[3, 2] = 0.25
    labels = np.array([0, 0, 3, 0])
    assert expected_calibration_error(probabilities, labels) == pytest.approx((3 * abs(2 / 3 - 0.9) + 0.5) / 4)
    doubled = expected_calibration_error(probabilities, labels, np.array([[1.0, 1, 1, 1], [2, 2, 2, 2], [0, 0, 0, 1]]))
    np.testing.assert_allclose(doubled, [(3 * abs(2 / 3 - 0.9) + 0.5) / 4] * 2 + [0.5])


def test_certain_pictures_are_in_the_last_bin() -> None:
    images, confidence, correct = reliability_bins(np.eye(7), np.arange(7))
    assert (images[-1], confidence[-1], correct[-1]) == (7, 7, 7)
