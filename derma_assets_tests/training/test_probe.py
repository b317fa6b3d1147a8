"""The head that is fitted first knows what the features tell, and nothing else of the model changes."""

import numpy as np
import pytest

from derma_assets.training.classifier import build_classifier
from derma_assets.training.predictor import Predictor
from derma_assets.training.probe import fit_head


@pytest.mark.parametrize("classes", [7, 2])
def test_a_fitted_head_tells_the_classes_apart(classes: int) -> None:
    labels = np.arange(70) % classes + (3 if classes == 2 else 0)
    chance = np.random.default_rng(5)
    colours = chance.integers(0, 256, (7, 3))
    noise = chance.integers(-20, 20, (len(labels), 32, 32, 3))
    pixels = np.clip(colours[labels][:, None, None] + noise, 0, 255).astype(np.uint8)
    model = build_classifier(32, alpha=0.25, weights="random", trainable_layers=86, dropout=0.25, seed=3)
    before = [layer.get_weights() for layer in model.layers if layer.name != "logits"]
    learnt, kept = np.arange(0, 49), np.arange(49, 70)
    fit_head(model, pixels, learnt, labels[learnt], np.ones(len(learnt)))
    logits = Predictor(model)(pixels, kept)
    # Random layers make poor features: far better than chance is enough.
    assert (logits.argmax(axis=1) == labels[kept]).mean() > (1 + 1 / classes) / 2
    absent = np.setdiff1d(np.arange(7), labels)
    assert (logits[:, absent] < logits[:, labels[:classes]].min(axis=1, keepdims=True)).all()
    after = [layer.get_weights() for layer in model.layers if layer.name != "logits"]
    for one, other in zip(before, after, strict=True):
        for old, new in zip(one, other, strict=True):
            np.testing.assert_array_equal(old, new)
