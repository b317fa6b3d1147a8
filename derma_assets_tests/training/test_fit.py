"""Training on coloured squares: it learns, it can be interrupted, and a paper recipe stops by itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from derma_assets.errors import UserError
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training import fit as fit_module
from derma_assets.training.classifier import build_classifier
from derma_assets.training.curves import training_curves
from derma_assets.training.fit import fit
from derma_assets.training.hardware import Precision
from derma_assets.training.input_pipeline import training_batches
from derma_assets.training.predictor import Predictor
from derma_assets.training.recipe import PAPER, SAMPLE, Recipe
from derma_assets_tests.training.power_loss import lose_power_after

SMALL = SAMPLE.model_copy(update={"epochs": 4, "batch_size": 14, "dropout": 0.25, "batch_norm_momentum": 0.7})


def _squares(count: int = 56) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures whose colour tells their class."""
    labels = np.arange(count) % 7
    colours = np.random.default_rng(5).integers(0, 256, (7, 3))
    noise = np.random.default_rng(1).integers(-20, 20, (count, 32, 32, 3))
    return np.clip(colours[labels][:, None, None] + noise, 0, 255).astype(np.uint8), labels


# Where what is learnt does not matter, few layers learn: most of a short training is the making of its graph.
FEW = 12
# Where lower layers are compared with higher ones, there have to be both.
SOME = 40


def _fit(state_path: Path, recipe: Recipe = SMALL, layers: int = 86) -> tuple[Any, pd.DataFrame]:
    pixels, labels = _squares()
    rows = np.arange(len(labels))
    model = build_classifier(32, alpha=0.25, weights="random", trainable_layers=layers, dropout=0.25, seed=3)
    history = fit(
        model, pixels, (rows[:42], labels[:42]), (rows[42:], labels[42:]), recipe, seed=42, state_path=state_path
    )
    return model, history


def test_it_learns_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    model, history = _fit(tmp_path / "state.npz", SMALL.model_copy(update={"epochs": 15}))
    pixels, labels = _squares()
    assert history["loss"].iloc[-1] < 0.7 * history["loss"].iloc[0]
    accuracy = (Predictor(model)(pixels, np.arange(42, 56)).argmax(1) == labels[42:]).mean()
    kept = history.loc[history["val_macro_f1"].idxmax()]
    assert kept["kept"]
    assert accuracy == pytest.approx(kept["val_accuracy"])
    assert accuracy > 0.5
    assert len(training_curves(history).axes) == 3


# A rate too high to get better for long: it is halved, and the training stops by itself.
STOPPING = PAPER.model_copy(update={"batch_size": 42, "epochs": 12, "early_stopping": 4})


# Everything that a recipe can ask for besides.
EVERYTHING = SMALL.model_copy(
    update={"optimizer": "adamw", "lower_layers_rate": 0.1, "average_decay": 0.8, "mixup": 0.2, "keep": "last"}
)


@pytest.mark.parametrize("recipe", [SMALL, STOPPING, EVERYTHING], ids=["cosine", "plateau", "everything"])
def test_an_interrupted_training_ends_with_the_numbers_of_an_undisturbed_one(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_model, whole = _fit(tmp_path / "whole.npz", recipe, FEW)
    lose_power_after(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        _fit(tmp_path / "cut.npz", recipe, FEW)
    monkeypatch.undo()
    cut_model, cut = _fit(tmp_path / "cut.npz", recipe, FEW)
    pd.testing.assert_frame_equal(whole.drop(columns="seconds"), cut.drop(columns="seconds"))
    for one, other in zip(whole_model.get_weights(), cut_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_finished_training_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, history = _fit(tmp_path / "state.npz", layers=FEW)
    monkeypatch.setattr(fit_module, "training_batches", lambda *a, **k: pytest.fail("trained again"))
    again, same = _fit(tmp_path / "state.npz", layers=FEW)
    pd.testing.assert_frame_equal(history, same)
    np.testing.assert_array_equal(first.get_weights()[0], again.get_weights()[0])


def test_a_recipe_may_keep_the_last_epoch(tmp_path: Path) -> None:
    model, history = _fit(tmp_path / "state.npz", SMALL.model_copy(update={"keep": "last"}), FEW)
    pixels, labels = _squares()
    assert history["kept"].tolist() == [False] * 3 + [True]
    accuracy = (Predictor(model)(pixels, np.arange(42, 56)).argmax(1) == labels[42:]).mean()
    assert accuracy == pytest.approx(history["val_accuracy"].iloc[-1])


def test_batch_norms_end_with_the_statistics_of_one_epoch(tmp_path: Path) -> None:
    last = SMALL.model_copy(update={"keep": "last"})
    anew = last.model_copy(update={"batch_norms_anew": True})
    plain, _ = _fit(tmp_path / "plain.npz", last)
    model, _ = _fit(tmp_path / "anew.npz", anew)
    for before, after in zip(plain.weights, model.weights, strict=True):
        assert ("moving" in before.path) == bool((before.numpy() != after.numpy()).any()), before.path
    pixels, labels = _squares()
    once = anew.model_copy(update={"epochs": anew.epochs + 1})
    batches = training_batches(
        pixels, np.arange(42), labels[:42], np.ones(42, np.float32), recipe=once, first_epoch=anew.epochs, seed=42
    )
    below = import_keras().Model(model.inputs, model.get_layer("conv1").output)
    # Three batches of fourteen: the statistics of all pictures at once.
    seen = np.concatenate([below(pictures).numpy() for pictures, *_ in batches])
    norm = model.get_layer("conv1_bn")
    np.testing.assert_allclose(norm.moving_mean, seen.mean(axis=(0, 1, 2)), rtol=1e-3, atol=1e-4)
    # TensorFlow's fused operation corrects the variance for the size of the batch, by far less than this.
    np.testing.assert_allclose(norm.moving_variance, seen.var(axis=(0, 1, 2)), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_the_average_of_the_weights_is_kept(tmp_path: Path) -> None:
    last = SMALL.model_copy(update={"keep": "last", "optimizer": "adamw", "batch_size": 6})
    few, recipe = {}, last.model_copy(update={"average_decay": 0.5})
    for name, one in {"averaged": recipe, "plain": last}.items():
        _fit(tmp_path / f"{name}.npz", one, FEW)
        few[name] = fit_module.TrainingState.load(tmp_path / f"{name}.npz").weights
    for one, other in zip(few["averaged"], few["plain"], strict=True):
        np.testing.assert_array_equal(one, other)  # averaging looks on
    averaged, _ = _fit(tmp_path / "all.npz", recipe)
    end = fit_module.TrainingState.load(tmp_path / "all.npz").weights
    assert any((one != other).any() for one, other in zip(end, averaged.get_weights(), strict=True))
    pixels, labels = _squares()
    logits = Predictor(averaged)(pixels, np.arange(42))
    assert (logits.argmax(1) == labels[:42]).mean() > 1 / 7


def test_lower_precision_computes_nearly_the_same(tmp_path: Path) -> None:
    """Which way three epochs at a high rate go differs between processors; what a small step is made of does not."""
    pixels, labels = _squares()
    data = (np.arange(42), labels[:42]), (np.arange(42, len(labels)), labels[42:])
    recipe = SMALL.model_copy(update={"epochs": 1, "learning_rate": 1e-4, "min_learning_rate": 1e-4})
    losses, moved = {}, {}
    precisions: tuple[Precision, ...] = ("float32", "bfloat16_products", "mixed_float16")
    for precision in precisions:
        model = build_classifier(32, alpha=0.25, weights="random", trainable_layers=FEW, dropout=0.0, seed=3)
        start = model.get_weights()
        path = tmp_path / f"{precision}.npz"
        losses[precision] = fit(model, pixels, *data, recipe, seed=42, state_path=path, precision=precision)["loss"]
        moved[precision] = np.mean(
            [np.abs(new - old).mean() for new, old in zip(model.get_weights(), start, strict=True)]
        )
    for precision in precisions[1:]:
        np.testing.assert_allclose(losses[precision], losses["float32"], rtol=0.1)
        assert moved[precision] == pytest.approx(moved["float32"], rel=0.5)
        assert not np.array_equal(losses[precision], losses["float32"])


def test_lower_layers_learn_more_slowly(tmp_path: Path) -> None:
    start = build_classifier(32, alpha=0.25, weights="random", trainable_layers=SOME, dropout=0.25, seed=3)
    one_epoch = SMALL.model_copy(update={"optimizer": "adamw", "epochs": 1, "keep": "last", "warmup_fraction": 0.0})
    moved = []
    for share in (1.0, 1e-3):
        model, _ = _fit(tmp_path / f"{share}.npz", one_epoch.model_copy(update={"lower_layers_rate": share}), SOME)
        pairs = zip(start.trainable_variables, model.trainable_variables, strict=True)
        moved.append([float(np.abs(np.asarray(one) - np.asarray(other)).mean()) for one, other in pairs])
    assert moved[1][0] == pytest.approx(moved[0][0] * 1e-3, rel=0.5)
    assert moved[1][-1] == pytest.approx(moved[0][-1], rel=0.5)


def test_the_paper_recipe_lowers_its_rate_and_stops_early(tmp_path: Path) -> None:
    _, history = _fit(tmp_path / "state.npz", PAPER.model_copy(update={"batch_size": 42}))
    assert history["learning_rate"].iloc[0] == pytest.approx(0.01)
    assert history["learning_rate"].is_monotonic_decreasing
    assert len(history) <= 30


def test_a_training_that_diverges_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="learning rate"):
        _fit(tmp_path / "state.npz", SMALL.model_copy(update={"learning_rate": 1e38, "schedule": "plateau"}))
