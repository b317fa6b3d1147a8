from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from derma_assets.calibration.familiarity import COMPONENTS, fit_familiarity
from derma_assets.errors import InputError


def features(count: int = 300, dimensions: int = 40, seed: int = 0) -> np.ndarray:
    """Return features that vary along few directions and a little along all."""
    draw = np.random.default_rng(seed)
    directions = np.random.default_rng(9).normal(size=(5, dimensions))
    return (1 + draw.normal(size=(count, 5)) @ directions + 0.1 * draw.normal(size=(count, dimensions))).astype(
        np.float32
    )


def test_it_is_the_log_likelihood_of_probabilistic_pca_but_for_a_constant() -> None:
    fitted = fit_familiarity(features(), "layer", components=8)
    unseen = np.concatenate([features(50, seed=1), np.random.default_rng(2).normal(size=(50, 40))])
    reference = PCA(8, svd_solver="full").fit(features().astype(np.float64))
    constants = fitted.unfamiliarity(unseen) + reference.score_samples(unseen.astype(np.float64))
    np.testing.assert_allclose(constants, constants[0], rtol=1e-9)
    assert fitted.components.shape == (8, 40)


def test_other_features_are_less_familiar() -> None:
    fitted = fit_familiarity(features(), "layer", components=8)
    known, unknown = features(100, seed=1), np.random.default_rng(2).normal(size=(100, 40))
    assert fitted.unfamiliarity(known).max() < fitted.unfamiliarity(unknown).min()
    assert fitted.unfamiliarity(fitted.mean[np.newaxis]) == pytest.approx([0], abs=1e-9)


def test_the_graphs_formula_with_the_projection_is_the_same() -> None:
    fitted = fit_familiarity(features(), "layer", components=8)
    centred = features(20, seed=3) - fitted.mean
    squares = (centred**2).sum(axis=1) - ((centred @ fitted.projection.T) ** 2).sum(axis=1)
    np.testing.assert_allclose(fitted.unfamiliarity(features(20, seed=3)), 0.5 * squares / fitted.noise_variance)


@pytest.mark.parametrize(("count", "dimensions", "expected"), [(8, 40, 2), (60, 40, 10), (60, 400, 15)])
def test_few_pictures_or_features_give_few_components(count: int, dimensions: int, expected: int) -> None:
    fitted = fit_familiarity(np.random.default_rng(0).normal(size=(count, dimensions)), "layer")
    assert len(fitted.components) == min(expected, COMPONENTS)
    assert fitted.noise_variance > 0
    assert (fitted.explained_variance >= fitted.noise_variance).all()


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    fitted = fit_familiarity(features(), "conv_pw_11_relu")
    fitted.save(tmp_path / "one.npz")
    fitted.save(tmp_path / "two.npz")
    read = type(fitted).load(tmp_path / "one.npz")
    assert (read.layer, read.noise_variance) == ("conv_pw_11_relu", fitted.noise_variance)
    np.testing.assert_array_equal(read.unfamiliarity(features(seed=5)), fitted.unfamiliarity(features(seed=5)))
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_features_that_cannot_be_used_are_explained() -> None:
    with pytest.raises(InputError, match="at least 8, got 3"):
        fit_familiarity(features(3), "layer")
    with pytest.raises(InputError, match="not finite"):
        fit_familiarity(np.full((20, 4), np.nan), "layer")
    with pytest.raises(InputError, match="learnt nothing"):
        fit_familiarity(np.ones((20, 4)), "layer")
    with pytest.raises(InputError, match="learnt nothing"):
        fit_familiarity(np.outer(np.arange(20.0), np.ones(4)), "layer")
