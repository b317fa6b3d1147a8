"""How unlike the training pictures a picture is: the squared distance in probabilistic PCA of the model's features.

Tipping and Bishop, "Probabilistic Principal Component Analysis", Journal of the Royal Statistical Society B 61 (1999):
a Gaussian whose covariance is free along the leading principal components and the same, `noise_variance`, in
every other direction. As a score for pictures of another kind it is the Mahalanobis distance of Lee et al., "A Simple
Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks" (NeurIPS 2018), with one
class and a covariance that stays well-conditioned when pictures are fewer than features.

The features are those of a layer in the middle of the network (`Backbone.middle`): towards its end it knows only what
tells the seven diagnoses apart, nearer the input it answers to the camera too. So it is fitted to the training pictures
and, once more, to the same as other cameras would take them (`other_cameras`). With all layers of MobileNet trained on
HAM10000, and a limit that refuses 0.5 % of validation, of pictures of an orange cat the features of the seventh block
caught 96 %, of the eighth 89 %, of the eleventh 21 %; without the other cameras the seventh's refused 74 % of good
pictures with noise of 8 grey levels, with them 0.1 %.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from derma_assets.errors import InputError

# The leading components are free, the others share one variance. On validation 64 and 128 caught fewer cats.
COMPONENTS = 32
# Each free component is estimated from at least so many pictures, and takes at most a quarter of the dimensions.
PICTURES_PER_COMPONENT = 4
SHARE_OF_FEATURES = 0.25
# Less of the first component's variance than this is rounding.
LEAST_NOISE = 1e-12


@dataclass(frozen=True)
class FamiliarityModel:
    """A Gaussian over pooled features of pictures of the kind the model was trained on.

    Attributes:
        layer: Name of the trained model's layer whose output, averaged over height and width, the features are.
        mean: (f,) float64.
        components: (k, f) float64, orthonormal rows.
        explained_variance: (k,) float64, variance along each component, all above `noise_variance`.
        noise_variance: Variance along every other direction.
    """

    layer: str
    mean: np.ndarray
    components: np.ndarray
    explained_variance: np.ndarray
    noise_variance: float

    def unfamiliarity(self, features: np.ndarray) -> np.ndarray:
        """Return half the squared distance of each picture from the mean, in standard deviations.

        It is the constant of the Gaussian minus the log-likelihood, so high means unlike the training pictures.

        Args:
            features: (n, f), pooled output of `layer`.

        Returns:
            (n,) float64, not negative.
        """
        centred = np.asarray(features, dtype=np.float64) - self.mean
        along = centred @ self.projection.T
        # Rounding may leave a little less than nothing of a picture that is the mean itself.
        return np.maximum((centred**2).sum(axis=1) - (along**2).sum(axis=1), 0.0) * 0.5 / self.noise_variance

    @property
    def projection(self) -> np.ndarray:
        """(k, f): the components, each scaled so that what it takes off the squared distance is right."""
        return np.sqrt(1.0 - self.noise_variance / self.explained_variance)[:, np.newaxis] * self.components

    def save(self, path: Path) -> None:
        """Write the arrays to one `.npz` file; equal models give equal bytes."""
        np.savez(
            path,
            layer=np.array(self.layer),
            mean=self.mean,
            components=self.components,
            explained_variance=self.explained_variance,
            noise_variance=np.float64(self.noise_variance),
        )

    @classmethod
    def load(cls, path: Path) -> "FamiliarityModel":
        """Read what `save` wrote.

        Raises:
            OSError: there is no such file.
        """
        with np.load(path) as stored:
            return cls(
                layer=str(stored["layer"]),
                mean=stored["mean"],
                components=stored["components"],
                explained_variance=stored["explained_variance"],
                noise_variance=float(stored["noise_variance"]),
            )


def fit_familiarity(features: np.ndarray, layer: str, components: int = COMPONENTS) -> FamiliarityModel:
    """Fit the Gaussian to the features of training pictures.

    Args:
        features: (n, f) pooled output of the layer.
        layer: Its name.
        components: How many directions have a variance of their own, at most; fewer where there are few pictures.

    Raises:
        InputError: there are fewer than eight pictures, a feature is not finite, or all pictures are alike.
    """
    from sklearn.decomposition import PCA

    features = np.asarray(features, dtype=np.float64)
    if len(features) < 2 * PICTURES_PER_COMPONENT:
        raise InputError(f"telling familiar pictures needs at least {2 * PICTURES_PER_COMPONENT}, got {len(features)}.")
    if not np.isfinite(features).all():
        raise InputError("the trained model gives features that are not finite: train again at a lower learning rate.")
    most = min(len(features) // PICTURES_PER_COMPONENT, int(features.shape[1] * SHARE_OF_FEATURES))
    with np.errstate(invalid="ignore"):  # Pictures that are all alike have no shares of variance; said below.
        fitted = PCA(n_components=max(1, min(components, most)), svd_solver="full").fit(features)
    if not fitted.noise_variance_ > LEAST_NOISE * fitted.explained_variance_[0]:
        raise InputError("the trained model gives the same features for all pictures: it has learnt nothing.")
    return FamiliarityModel(
        layer=layer,
        mean=fitted.mean_,
        components=fitted.components_,
        explained_variance=fitted.explained_variance_,
        noise_variance=float(fitted.noise_variance_),
    )
