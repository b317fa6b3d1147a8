"""How fast training and its input are beside the paper's way, in turn, in one process.

Each repetition runs every contender once, one after the other, so that what else the machine does meets all of
them; ratios are taken within a repetition.
"""

import gc
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.progress import bar
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training.backbones import BACKBONES
from derma_assets.training.benchmark_pictures import BenchmarkPictures
from derma_assets.training.classifier import build_classifier
from derma_assets.training.fast_layers import fast_twin
from derma_assets.training.fit import fit
from derma_assets.training.hardware import native_precision
from derma_assets.training.input_pipeline import training_batches
from derma_assets.training.kept_activations import cut_above_frozen, keep_activations
from derma_assets.training.paper_way import batches_from_files, batches_from_memory, fit_as_the_paper
from derma_assets.training.recipe import DEFAULT, PAPER, Augmentation

OURS = "ours"
OURS_KEPT = "ours, variants kept"
OURS_COLOURED = "ours, colours changed too"
FROM_FILES = "the paper's way, from files"
FROM_MEMORY = "the paper's way, from memory"
PAPERS_WAYS = (FROM_FILES, FROM_MEMORY)

PAPER_SIZE, PAPER_LAYERS, PAPER_BATCH = 224, 23, 10
ALL_LAYERS = BACKBONES["mobilenet"].layers
# Of each picture that take turns in `OURS_KEPT`: of 30 epochs, the paper's number, one in five shows new ones.
KEPT_VARIANTS = 6

SETTING = ["size", "trainable_layers", "batch_size"]

_SEED = 42
_WARM_UP_BATCHES = 12
_TENTH = 0.1  # the history of `fit` keeps an epoch's seconds to a tenth


@dataclass(frozen=True)
class TrainingSetting:
    """What both ways share.

    Attributes:
        size: Side of the pictures, in pixels.
        trainable_layers: How many of MobileNet's last layers learn.
        batch_size: Pictures per step.
        alpha: Width multiplier of MobileNet.
        weights: Its initial weights, see `classifier.build_classifier`.
    """

    size: int
    trainable_layers: int
    batch_size: int
    alpha: float
    weights: str

    def model(self) -> Any:
        """Return the classifier that either way starts from."""
        return build_classifier(
            self.size,
            alpha=self.alpha,
            weights=self.weights,
            trainable_layers=self.trainable_layers,
            dropout=PAPER.dropout,
            seed=_SEED,
        )


def training_settings(size: int, layers: int, batch_size: int, alpha: float, weights: str) -> list[TrainingSetting]:
    """Return the paper's own setting, then the project's size with the paper's, the project's and all layers."""
    rows = [(PAPER_SIZE, PAPER_LAYERS, PAPER_BATCH)]
    rows += [(size, one, batch_size) for one in sorted({PAPER_LAYERS, layers, ALL_LAYERS})]
    return [TrainingSetting(*row, alpha, weights) for row in rows]


def trained_parameters(model: Any) -> int:
    """Return how many numbers training changes by gradients."""
    return int(sum(np.prod(variable.shape) for variable in model.trainable_variables))


def training_rates(
    pictures: BenchmarkPictures, pixels: np.ndarray, setting: TrainingSetting, epochs: int
) -> dict[str, Callable[[], float]]:
    """Return what trains each contender for an epoch to warm up and `epochs` more, and gives its pictures per second.

    All start from the same weights and use the recipe `paper`: Adam, its learning rate, class weights and augmentation.

    Args:
        pictures: The pictures of one epoch.
        pixels: The same decoded, see `BenchmarkPictures.decode`.
        setting: What all share.
        epochs: Epochs that are timed.
    """
    recipe = PAPER.model_copy(update={"epochs": epochs + 1, "batch_size": setting.batch_size})

    def ours(kept_variants: int = 0) -> list[float]:
        side = (pictures.rows[:7], pictures.labels[:7])  # `fit` wants some pictures to validate on
        with tempfile.TemporaryDirectory() as folder:
            history = fit(
                setting.model(),
                pixels,
                (pictures.rows, pictures.labels),
                side,
                recipe.model_copy(update={"kept_variants": kept_variants}),
                seed=_SEED,
                state_path=Path(folder) / "state.npz",
                precision=native_precision(),
            )
        return history["seconds"].tolist()

    def ours_kept() -> list[float]:
        share = KEPT_VARIANTS / PAPER.epochs * seconds_of_a_variant(pictures, pixels, setting)
        return [epoch + share for epoch in ours(kept_variants=1)]

    def from_files() -> list[float]:
        batches = batches_from_files(pictures.files, setting.size, setting.batch_size)
        return fit_as_the_paper(setting.model(), batches, pictures.labels, recipe)

    def from_memory() -> list[float]:
        batches = batches_from_memory(pixels[pictures.rows], pictures.labels, setting.batch_size)
        return fit_as_the_paper(setting.model(), batches, pictures.labels, recipe)

    def rate(seconds: Callable[[], list[float]]) -> float:
        timed = max(sum(seconds()[1:]), _TENTH / 2)
        import_keras().backend.clear_session()
        gc.collect()
        return len(pictures.rows) * epochs / timed

    contenders = {FROM_FILES: from_files, FROM_MEMORY: from_memory, OURS: ours}
    if setting.trainable_layers < ALL_LAYERS:
        contenders[OURS_KEPT] = ours_kept
    return {name: lambda seconds=seconds: rate(seconds) for name, seconds in contenders.items()}  # type: ignore[misc]


def seconds_of_a_variant(pictures: BenchmarkPictures, pixels: np.ndarray, setting: TrainingSetting) -> float:
    """Return how long the frozen layers take to see one variant of all pictures and keep what they make of it.

    Two variants take longer than one by that much; what TensorFlow takes to compile is in both.
    """
    below, _ = cut_above_frozen(fast_twin(setting.model(), PAPER.batch_norm_momentum, native_precision()))
    seconds = []
    for variants in (1, 2):
        recipe = PAPER.model_copy(update={"kept_variants": variants})
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            keep_activations(below, pixels, pictures.rows, pictures.rows[:7], recipe, _SEED, Path(folder) / "kept.npy")
        seconds.append(time.perf_counter() - began)
    return max(seconds[1] - seconds[0], 0.0)


def input_rates(
    pictures: BenchmarkPictures, pixels: np.ndarray, batch_size: int, seconds: float
) -> dict[str, Callable[[], float]]:
    """Return what draws each contender's augmented batches for so many seconds, and gives its pictures per second."""

    def ours(augmentation: Augmentation) -> Any:
        return training_batches(
            pixels,
            pictures.rows,
            pictures.labels,
            np.ones(len(pictures.rows), np.float32),
            recipe=DEFAULT.model_copy(update={"augmentation": augmentation, "batch_size": batch_size, "epochs": 10**9}),
            first_epoch=0,
            seed=_SEED,
        )

    size = pixels.shape[1]
    contenders: dict[str, Callable[[], Any]] = {
        FROM_FILES: lambda: batches_from_files(pictures.files, size, batch_size),
        FROM_MEMORY: lambda: batches_from_memory(pixels[pictures.rows], pictures.labels, batch_size),
        OURS: lambda: ours(PAPER.augmentation),
        OURS_COLOURED: lambda: ours(DEFAULT.augmentation),
    }
    return {name: lambda make=make: drawn_per_second(iter(make()), seconds) for name, make in contenders.items()}  # type: ignore[misc]


def drawn_per_second(batches: Iterator[Any], seconds: float) -> float:
    """Return how many pictures an endless iterator of batches gives in a second, after some batches to warm up."""
    for _ in itertools.islice(batches, _WARM_UP_BATCHES):
        pass
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        count += len(next(batches)[0])
    return count / (time.perf_counter() - began)


def in_turn(contenders: dict[str, Callable[[], float]], repetitions: int, what: str) -> pd.DataFrame:
    """Measure every contender in turn, so many times, showing progress.

    Returns:
        Columns `contender`, `repetition` (from 1) and `pictures_per_s`, in the order in which they were measured.
    """
    rows = []
    with bar(repetitions * len(contenders), what, "measurements") as shown:
        for repetition in range(1, repetitions + 1):
            for name, measure in contenders.items():
                rows.append({"contender": name, "repetition": repetition, "pictures_per_s": measure()})
                shown.set_postfix_str(f"{name}: {rows[-1]['pictures_per_s']:,.0f} pictures/s", refresh=False)
                shown.update()
    return pd.DataFrame(rows)


def ratios(runs: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return how many times faster than `reference` each other contender is.

    Args:
        runs: As `in_turn` returns it.
        reference: Name of the contender that the others are divided by, repetition by repetition.

    Returns:
        One row per other contender, in their order: `contender`, `ratio` (median), `lowest` and `highest`.
    """
    wide = runs.pivot(index="repetition", columns="contender", values="pictures_per_s")
    others = [name for name in runs["contender"].unique() if name != reference]
    times = wide[others].div(wide[reference], axis=0)
    return pd.DataFrame(
        {
            "contender": others,
            "ratio": times.median().to_numpy(),
            "lowest": times.min().to_numpy(),
            "highest": times.max().to_numpy(),
        }
    )
