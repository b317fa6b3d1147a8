"""Training: from pictures, a split and a recipe to a classifier and its history."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.dataset.stored_rows import Rows
from derma_assets.diagnoses import CODES
from derma_assets.errors import InputError, UserError
from derma_assets.progress import bar
from derma_assets.tensorflow_runtime import import_keras, import_tensorflow
from derma_assets.training.checkpoint import TrainingState
from derma_assets.training.class_weights import class_weights
from derma_assets.training.fast_layers import bring_back, fast_twin
from derma_assets.training.hardware import Precision, training_strategy
from derma_assets.training.input_pipeline import (
    activation_batches,
    prediction_batches,
    prediction_parts,
    training_batches,
    training_parts,
)
from derma_assets.training.kept_activations import ENDING, cut_above_frozen, keep_activations
from derma_assets.training.recipe import Recipe
from derma_assets.training.together import fit_together, replicas_of

VALIDATION_BATCH = 64


def fit(
    model: Any,
    pixels: Rows,
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    recipe: Recipe,
    *,
    seed: int,
    state_path: Path,
    precision: Precision = "float32",
    targets: np.ndarray | None = None,
) -> pd.DataFrame:
    """Train `model` in place; it ends with the weights of the epoch that the recipe keeps.

    A training that was interrupted goes on after its last whole epoch, with the numbers it would have had.

    Args:
        model: The classifier, see `classifier.build_classifier`.
        pixels: (m, s, s, 3) uint8.
        train: (n,) rows of `pixels` and (n,) int class indices to learn from.
        validation: The same, to choose the best epoch by.
        recipe: How to train.
        seed: Seed of order, augmentation and dropout.
        state_path: File that keeps the state between epochs.
        precision: How the layers are computed, see `hardware.native_precision`.
        targets: (n, 7) float32, what is learnt of each training picture, if it is more than its label.

    Returns:
        One row per epoch: epoch, loss, accuracy, macro_f1, the same on validation with the prefix `val_`,
        learning_rate, seconds, and `kept`, which is true for the epoch whose weights the model ends with.
    """
    state = TrainingState.load(state_path)
    activations_path = state_path.with_suffix(ENDING)
    learner = learn(
        model,
        pixels,
        train,
        validation,
        recipe,
        seed=seed,
        state=state,
        keep=lambda: state.save(state_path),
        precision=precision,
        strategy=training_strategy(),
        targets=targets,
        activations_path=activations_path,
    )
    activations_path.unlink(missing_ok=True)
    if recipe.average_decay:
        _restore(learner, state)
        learner.optimizer.finalize_variable_values(learner.trainable_variables)
    else:
        learner.set_weights(state.best if recipe.keep == "best" else state.weights)
    if recipe.average_decay or recipe.batch_norms_anew:
        _estimate_batch_norms(learner, pixels, *train, recipe, seed)
    bring_back(learner, model)
    return kept_epoch_marked(pd.DataFrame(state.history), recipe)


def learn(
    model: Any,
    pixels: Rows,
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    recipe: Recipe,
    *,
    seed: int,
    state: TrainingState,
    keep: Callable[[], None],
    precision: Precision,
    strategy: Any,
    targets: np.ndarray | None = None,
    activations_path: Path | None = None,
) -> Any:
    """Train from `state` to the last epoch, and return the model that has learnt: the stand-in of `model`.

    Args:
        state: What is known so far; it is brought up to date after every epoch.
        keep: Called then.
        strategy: Of `tf.distribute`: which devices learn together. The others are as in `fit`.
        activations_path: File for a recipe that keeps what the frozen layers see.

    Raises:
        InputError: such a recipe for several devices, or for a model in which all layers learn.
    """
    keras = import_keras()
    rows, labels = train
    steps = math.ceil(len(rows) / recipe.batch_size)
    with strategy.scope():
        learner = fast_twin(model, recipe.batch_norm_momentum, precision)
        if recipe.kept_variants:
            if strategy.num_replicas_in_sync > 1:
                raise InputError(
                    f"the recipe {recipe.name} keeps what the frozen layers see (kept_variants), on one device only: "
                    "choose another recipe, or set CUDA_VISIBLE_DEVICES to one GPU and unset TF_CONFIG."
                )
            below, learner = cut_above_frozen(learner)
        _compile(learner, recipe, steps, precision)
    if state.finished:
        return learner
    epochs_callbacks = _schedule(recipe)
    callbacks = [*epochs_callbacks, _keeper(learner, state, keep, epochs_callbacks, steps, recipe.epochs)]
    keras.utils.set_random_seed(seed + len(state.history))
    weights = class_weights(labels, recipe.class_weight_power, recipe.class_weight_factors)
    first_epoch = len(state.history)
    order: dict[str, Any] = {"recipe": recipe, "first_epoch": first_epoch, "seed": seed, "targets": targets}
    if strategy.num_replicas_in_sync == 1:
        if recipe.kept_variants:
            assert activations_path is not None
            kept = keep_activations(below, pixels, rows, validation[0], recipe, seed, activations_path)
            batches = activation_batches(kept.train, labels, weights[labels], **order)
            judged = _validation_batches(kept.validation, np.arange(len(validation[0])), validation[1])
        else:
            batches = training_batches(pixels, rows, labels, weights[labels], **order)
            judged = _validation_batches(pixels, *validation)
        learner.fit(
            batches,
            validation_data=judged,
            initial_epoch=first_epoch,
            epochs=recipe.epochs,
            steps_per_epoch=steps,
            shuffle=False,  # the batches come in the order that the seed and the epoch give
            callbacks=callbacks,
            verbose=0,
        )
        return learner
    shared = replicas_of(strategy)
    fit_together(
        learner,
        strategy,
        training_parts(pixels, rows, labels, weights[labels], **order, share=shared),
        prediction_parts(pixels, *validation, share=shared, batch_size=VALIDATION_BATCH),
        metrics=_metrics,
        steps=steps,
        validation_steps=math.ceil(len(validation[0]) / VALIDATION_BATCH),
        first_epoch=first_epoch,
        epochs=recipe.epochs,
        callbacks=callbacks,
    )
    return learner


def kept_epoch_marked(history: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """Return `history` with a column `kept`: true for the one epoch whose weights the recipe keeps."""
    last = len(history) - 1
    kept = int(history["val_macro_f1"].to_numpy().argmax()) if recipe.keep == "best" else last
    return history.assign(kept=[position == kept for position in range(len(history))])


def _validation_batches(pixels: Rows, rows: np.ndarray, labels: np.ndarray) -> Any:
    tf = import_tensorflow()
    targets = tf.data.Dataset.from_tensor_slices(tf.one_hot(labels, len(CODES))).batch(VALIDATION_BATCH)
    return tf.data.Dataset.zip(prediction_batches(pixels, rows, batch_size=VALIDATION_BATCH), targets)


def _metrics() -> list[Any]:
    keras = import_keras()
    macro_f1 = keras.metrics.F1Score(average="macro", name="macro_f1")
    # Its variables are made by the first use: in a training step, TensorFlow would trace the step a second time.
    nothing = np.zeros((1, len(CODES)), np.float32)
    macro_f1.update_state(nothing, nothing)
    macro_f1.reset_state()
    return [keras.metrics.CategoricalAccuracy(name="accuracy"), macro_f1]


def _compile(learner: Any, recipe: Recipe, steps: int, precision: Precision) -> None:
    keras = import_keras()
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        total = recipe.epochs * steps
        warmup = round(total * recipe.warmup_fraction)
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=recipe.learning_rate / 100 if warmup else recipe.learning_rate,
            decay_steps=max(total - warmup, 1),
            alpha=recipe.min_learning_rate / recipe.learning_rate,
            warmup_target=recipe.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    if recipe.optimizer == "adam":
        optimizer = keras.optimizers.Adam(rate)
    else:
        optimizer = layerwise_adamw(learner.trainable_variables, recipe.lower_layers_rate)(
            rate,
            weight_decay=recipe.weight_decay,
            use_ema=recipe.average_decay > 0,
            ema_momentum=recipe.average_decay,
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)  # keeps small gradients from becoming zero
    learner.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
        metrics=_metrics(),
    )
    optimizer.build(learner.trainable_variables)


def layerwise_adamw(variables: list[Any], first_rate: float) -> Any:
    """Return a kind of `keras.optimizers.AdamW` that learns more slowly in lower layers.

    Args:
        variables: The trained variables, from the first layer to the last.
        first_rate: Rate of the first as a share of the last one's; the others' lie geometrically between.
    """
    keras: Any = import_keras()
    if first_rate == 1:
        return keras.optimizers.AdamW
    shares = np.geomspace(first_rate, 1, len(variables)).tolist()

    class LayerwiseAdamW(keras.optimizers.AdamW):  # type: ignore[name-defined]
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            share = shares[self._get_variable_index(variable)]
            super().update_step(gradient, variable, learning_rate * share)

    return LayerwiseAdamW


def _schedule(recipe: Recipe) -> list[Any]:
    keras = import_keras()
    callbacks: list[Any] = []
    if recipe.schedule == "plateau":
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=3, min_lr=recipe.min_learning_rate)
        )
    if recipe.early_stopping is not None:
        callbacks.append(keras.callbacks.EarlyStopping("val_loss", patience=recipe.early_stopping))
    return callbacks


def _hidden_variables(learner: Any) -> list[Any]:
    """Return what decides the next step besides the weights: the optimizer's state and the dropout's random state."""
    random_states = [layer.seed_generator.state for layer in learner.layers if hasattr(layer, "seed_generator")]
    return [*learner.optimizer.variables, *random_states]


def _restore(learner: Any, state: TrainingState) -> None:
    learner.set_weights(state.weights)
    for variable, value in zip(_hidden_variables(learner), state.hidden, strict=True):
        variable.assign(value)


def _estimate_batch_norms(
    learner: Any, pixels: Rows, rows: np.ndarray, labels: np.ndarray, recipe: Recipe, seed: int
) -> None:
    """Give the batch norms that learn the statistics of one epoch of pictures; nothing else changes.

    While a model learns, theirs are of the last batches and of weights that have changed since. Mean and variance are
    put together from those of the batches, each counted alike (Wu, Johnson, arXiv:2105.07576, section 3).
    """
    norms = [layer for layer in learner.layers if _normalizes(layer) and layer.trainable]
    once = recipe.model_copy(update={"epochs": recipe.epochs + 1})
    batches = training_batches(
        pixels, rows, labels, np.ones(len(labels), np.float32), recipe=once, first_epoch=recipe.epochs, seed=seed
    )
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0  # what a layer keeps is what it saw last
    see = import_tensorflow().function(lambda pictures: learner(pictures, training=True), reduce_retracing=True)
    means, squares, count = [0.0] * len(norms), [0.0] * len(norms), 0
    for pictures, *_ in batches:
        see(pictures)
        count += 1
        for place, layer in enumerate(norms):
            mean = layer.moving_mean.numpy().astype(np.float64)
            means[place] += mean
            squares[place] += layer.moving_variance.numpy() + mean**2
    for layer, momentum, mean, square in zip(norms, momenta, means, squares, strict=True):
        layer.momentum = momentum
        layer.moving_mean.assign(mean / count)
        layer.moving_variance.assign(square / count - (mean / count) ** 2)


def _normalizes(layer: Any) -> bool:
    return isinstance(layer, import_keras().layers.BatchNormalization)


def _keeper(
    learner: Any, state: TrainingState, keep: Callable[[], None], others: list[Any], steps: int, epochs: int
) -> Any:
    """Return the callback that shows progress, keeps the state after every epoch, and restores it at the start."""
    keras = import_keras()

    class Keeper(keras.callbacks.Callback):  # type: ignore[name-defined]
        def on_train_begin(self, logs: Any = None) -> None:
            self.bar = bar(steps * epochs, "training", "batches", done=steps * len(state.history))
            if not state.history:
                return
            # The other callbacks count epochs without improvement: they are told again what they have seen.
            for epoch, row in enumerate(state.history):
                for callback in others:
                    callback.on_epoch_end(epoch, dict(row))
            _restore(learner, state)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began = time.monotonic()
            self.bar.set_description(f"training, epoch {epoch + 1} of {epochs}")

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.bar.update()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            row = {"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}}
            if not np.isfinite(row["loss"]):
                raise UserError(
                    f"training diverged in epoch {epoch + 1}: the loss is {row['loss']}. "
                    "Lower the recipe's learning rate, then run again."
                )
            row["learning_rate"] = float(np.asarray(learner.optimizer.learning_rate))
            row["seconds"] = round(time.monotonic() - self.began, 1)
            best = max((past["val_macro_f1"] for past in state.history), default=-1.0)
            state.history.append(row)
            state.weights = learner.get_weights()
            state.hidden = [np.asarray(variable) for variable in _hidden_variables(learner)]
            if row["val_macro_f1"] > best:
                state.best = state.weights
            # In the same write as the weights: a run killed in between would train one epoch too many.
            state.finished = bool(learner.stop_training) or epoch + 1 == epochs
            keep()
            self.bar.set_postfix(
                {name: f"{row[name]:.3f}" for name in ("loss", "val_loss", "val_macro_f1") if name in row}
            )

        def on_train_end(self, logs: Any = None) -> None:
            self.bar.close()

    return Keeper()
