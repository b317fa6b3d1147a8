"""Frozen layers see each variant of a picture once, and what is learnt from what they gave is the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from derma_assets.errors import InputError
from derma_assets.training import kept_activations
from derma_assets.training.classifier import build_classifier
from derma_assets.training.fit import fit
from derma_assets.training.input_pipeline import activation_batches, training_batches, variant_batches
from derma_assets.training.kept_activations import ENDING, cut_above_frozen, keep_activations
from derma_assets.training.recipe import PAPER, SAMPLE, Augmentation, Recipe
from derma_assets_tests.running import ROOT
from derma_assets_tests.training.power_loss import lose_power_after

LAYERS, SEED, TRAIN = 12, 42, 42
WEIGHTS = str(ROOT / "data" / "release" / "weights.npz")
STILL = SAMPLE.model_copy(
    update={
        "epochs": 4,
        "batch_size": 14,
        "batch_norm_momentum": 0.7,
        "learning_rate": 1e-4,  # small steps: rounding must not become another path
        "augmentation": Augmentation(rotation_degrees=0, shift=0, zoom_in=0, zoom_out=0, flips=False),
    }
)
CHANGING = STILL.model_copy(update={"augmentation": PAPER.augmentation, "kept_variants": 2})

LABELS = np.arange(56) % 7
PIXELS = np.clip(
    np.random.default_rng(5).integers(0, 256, (7, 3))[LABELS][:, None, None]
    + np.random.default_rng(1).integers(-20, 20, (56, 32, 32, 3)),
    0,
    255,
).astype(np.uint8)
ROWS = np.arange(56)


def _model(layers: int = LAYERS) -> Any:
    # Not random weights: nothing of a picture comes through so many random layers.
    return build_classifier(32, alpha=1.0, weights=WEIGHTS, trainable_layers=layers, dropout=0.25, seed=3)


def _fit(state_path: Path, recipe: Recipe) -> tuple[Any, pd.DataFrame]:
    model = _model()
    sides = (ROWS[:TRAIN], LABELS[:TRAIN]), (ROWS[TRAIN:], LABELS[TRAIN:])
    return model, fit(model, PIXELS, *sides, recipe, seed=SEED, state_path=state_path)


def test_pictures_that_do_not_change_are_learnt_as_they_would_be_without(tmp_path: Path) -> None:
    anew, history = _fit(tmp_path / "anew.npz", STILL)
    once, kept = _fit(tmp_path / "once.npz", STILL.model_copy(update={"kept_variants": 1}))
    columns = ["loss", "val_loss"]
    np.testing.assert_allclose(kept[columns], history[columns], rtol=0.02)  # of half precision
    assert kept["loss"].iloc[-1] < kept["loss"].iloc[0]
    for one, other in zip(anew.layers, once.layers, strict=True):
        for learnt, weights in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(weights, learnt, atol=0.02)
            assert one.trainable_weights or np.array_equal(weights, learnt)
    assert list(tmp_path.glob(f"*{ENDING}")) == []


def test_variants_take_turns(tmp_path: Path) -> None:
    below, above = cut_above_frozen(_model())
    kept = keep_activations(below, PIXELS, ROWS[:TRAIN], ROWS[TRAIN:], CHANGING, SEED, tmp_path / "kept.npy")
    seen = []
    order: dict[str, Any] = {"recipe": CHANGING, "first_epoch": 0, "seed": SEED}
    weights = np.ones(TRAIN, np.float32)
    for batch, whole in zip(
        activation_batches(kept.train, LABELS[:TRAIN], weights, **order),
        training_batches(PIXELS, ROWS[:TRAIN], LABELS[:TRAIN], weights, **order),
        strict=True,
    ):
        np.testing.assert_array_equal(batch[1], whole[1])  # the same pictures in the same order
        seen.append(np.asarray(batch[0]))
    assert len(seen) == CHANGING.epochs * TRAIN // CHANGING.batch_size
    epochs = [np.sort(np.concatenate(seen[start : start + 3]).sum(axis=(1, 2, 3))) for start in range(0, 12, 3)]
    np.testing.assert_array_equal(epochs[0], epochs[2])
    np.testing.assert_array_equal(epochs[1], epochs[3])
    assert not np.array_equal(epochs[0], epochs[1])
    changed = np.concatenate(list(variant_batches(PIXELS, ROWS[:TRAIN], recipe=CHANGING, variant=1, seed=SEED)))
    expected = below.predict(changed, verbose=0)
    np.testing.assert_allclose(kept.train[TRAIN : 2 * TRAIN], expected, atol=0.01)
    expected = below.predict(PIXELS[TRAIN:].astype(np.float32), verbose=0)
    np.testing.assert_allclose(kept.validation[:], expected, atol=0.01)
    assert above.output_shape == (None, 7)


@pytest.mark.slow
def test_an_interrupted_training_goes_on_with_what_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_model, whole = _fit(tmp_path / "whole.npz", CHANGING)
    lose_power_after(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        _fit(tmp_path / "cut.npz", CHANGING)
    monkeypatch.undo()
    assert (tmp_path / f"cut{ENDING}").stat().st_size > 0
    monkeypatch.setattr(kept_activations, "_write", lambda *_: pytest.fail("computed again"))
    cut_model, cut = _fit(tmp_path / "cut.npz", CHANGING)
    pd.testing.assert_frame_equal(whole.drop(columns="seconds"), cut.drop(columns="seconds"))
    for one, other in zip(whole_model.get_weights(), cut_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_that_learns_as_a_whole_has_nothing_to_keep() -> None:
    with pytest.raises(InputError, match=r"all layers learn: set DERMA_TRAINABLE_LAYERS"):
        cut_above_frozen(_model(86))


@pytest.mark.parametrize("other", [{"mixup": 0.2}, {"average_decay": 0.9, "keep": "last"}, {"batch_norms_anew": True}])
def test_what_needs_the_pictures_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="keeps no pictures"):
        Recipe(**{**CHANGING.model_dump(), **other})
