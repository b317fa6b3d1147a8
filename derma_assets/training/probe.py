"""A head that is fitted before anything else learns.

A random head sends random gradients into layers that already know something. One that has been fitted to their features
does not (Kumar et al., "Fine-Tuning can Distort Pretrained Features", ICLR 2022): the first of two stages, in which all
below the head is frozen. As nothing below changes, its features are computed once, and the head is a logistic
regression.
"""

from typing import Any

import numpy as np

from derma_assets.dataset.stored_rows import Rows
from derma_assets.diagnoses import CODES
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training.predictor import Predictor

# Inverse strength of the regularization beside the mean loss, on features of variance 1. There are more than a
# thousand: weakly regularized, the head would be sure of all that it has learnt, and its loss have no gradient left.
_INVERSE_REGULARIZATION = 8.0
_MOST_ITERATIONS = 500
# Logit of a diagnosis that no picture has.
_NEVER = -10.0


def fit_head(model: Any, pixels: Rows, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
    """Give the head of `model` the weights of a logistic regression on its features, in place.

    Args:
        model: The classifier, see `classifier.build_classifier`.
        pixels: (m, s, s, 3) uint8.
        rows: (n,) rows of `pixels` to learn from, without augmentation.
        labels: (n,) their class indices, at least two different ones.
        weights: (n,) their weights.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    keras = import_keras()
    features = Predictor(keras.Model(model.input, model.get_layer("pooling").output))(pixels, rows, "features")
    scaler = StandardScaler()
    regression = LogisticRegression(C=_INVERSE_REGULARIZATION / len(rows), max_iter=_MOST_ITERATIONS)
    regression.fit(scaler.fit_transform(features), labels, sample_weight=weights)
    coefficients, intercepts = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # one row says both
        coefficients, intercepts = np.stack([-coefficients[0], coefficients[0]]) / 2, np.r_[-intercepts, intercepts] / 2
    kernel = np.zeros((features.shape[1], len(CODES)), np.float32)
    bias = np.full(len(CODES), _NEVER, np.float32)
    kernel[:, regression.classes_] = (coefficients / scaler.scale_).T
    bias[regression.classes_] = intercepts - coefficients @ (scaler.mean_ / scaler.scale_)
    model.get_layer("logits").set_weights([kernel, bias])
