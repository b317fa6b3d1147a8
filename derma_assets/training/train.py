"""Training as a whole: choose a recipe, build the classifier, fit it, and keep the state between epochs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.errors import InputError
from derma_assets.settings import Settings
from derma_assets.splits.grouped_splits import TRAIN, VALIDATION
from derma_assets.storage.fingerprint import fingerprint_json, fingerprint_table, sha256_of_file
from derma_assets.training.backbones import BACKBONES
from derma_assets.training.checkpoint import TrainingState
from derma_assets.training.class_weights import class_weights
from derma_assets.training.classifier import build_classifier
from derma_assets.training.fit import fit
from derma_assets.training.hardware import Precision
from derma_assets.training.kept_activations import ENDING as ACTIVATIONS
from derma_assets.training.labelled_pictures import labelled_pictures
from derma_assets.training.probe import fit_head
from derma_assets.training.recipe import Recipe
from derma_assets.training.teachers import soft_targets
from derma_assets.training.weights_file import ENDING, refuse_learnt_from

# Raised when the code that trains changes its results, so that no state of older code is continued.
TRAINING_VERSION = "2"
# What decides the result besides the pictures and their split.
DECIDING_SETTINGS = (
    "recipe",
    "epochs",
    "backbone",
    "backbone_weights",
    "alpha",
    "trainable_layers",
    "seed",
    "precision",
)


class BackboneChoice(BaseModel):
    """Which convolutional network is trained: its kind, initial weights and width, and how much of it learns."""

    model_config = ConfigDict(frozen=True)

    architecture: str = "mobilenet"
    weights: str
    alpha: float
    trainable_layers: int

    @classmethod
    def of(cls, chosen: Settings, **changes: Any) -> Self:
        """Return what the settings choose, but for `changes`.

        Raises:
            InputError: more layers are to be trained than there are.
        """
        choice = {
            "architecture": chosen.backbone,
            "weights": chosen.initial_weights,
            "alpha": chosen.alpha,
            "trainable_layers": chosen.trainable_layers,
            **changes,
        }
        kind = BACKBONES[choice["architecture"]]
        if choice["trainable_layers"] is None:
            choice["trainable_layers"] = kind.layers
        if choice["trainable_layers"] > kind.layers:
            raise InputError(
                f"{kind.name} has {kind.layers} layers, and DERMA_TRAINABLE_LAYERS asks for "
                f"{choice['trainable_layers']}: leave it empty to train all."
            )
        return cls(**choice)

    def build(self, size: int, dropout: float, seed: int) -> Any:
        """Return the classifier, untrained, for pictures of `size`; see `classifier.build_classifier`."""
        return build_classifier(size, **self.model_dump(), dropout=dropout, seed=seed)


@dataclass(frozen=True)
class TrainedClassifier:
    """A trained classifier and what is worth knowing about its training."""

    model: Any
    history: pd.DataFrame
    recipe: Recipe
    backbone: BackboneChoice
    train_pictures: int
    validation_pictures: int
    resumed_after_epoch: int
    precision: Precision


def train_classifier(
    arrays: ImageArrays,
    splits: pd.DataFrame,
    *,
    recipe: Recipe,
    backbone: BackboneChoice,
    seed: int,
    state_folder: Path,
    precision: Precision,
    together: Callable[[Path], None] | None = None,
) -> TrainedClassifier:
    """Train a classifier on the split `train`, choosing its epoch on `validation`.

    A training with the same pictures, split, recipe, backbone and seed that was interrupted is continued.

    Args:
        arrays: The decoded pictures.
        splits: Columns image_id, lesion_id, dx, split.
        recipe: How to train.
        backbone: Which network.
        seed: Seed of everything random.
        state_folder: Folder of the state that is kept between epochs; other trainings' states in it are removed.
        precision: How the layers are computed while training, see `hardware.native_precision`.
        together: Trains with other processes and leaves the finished state in the file it is given, see `group`. If
            left out, this process trains alone.

    Raises:
        InputError: weights that cannot be had, or that have learnt from what is held out now; a recipe with teachers
            for several processes, or with more of them than a diagnosis has lesions.
    """
    if together is not None and recipe.teacher_folds:
        raise InputError(
            f"the recipe {recipe.name} has teachers, which one process trains: unset TF_CONFIG, or choose a recipe "
            "without (DERMA_RECIPE)."
        )
    state_path = state_folder / f"{training_identity(arrays, splits, recipe, backbone, seed, precision)}.npz"
    before = TrainingState.load(state_path)
    if together is not None and not before.finished:
        together(state_path)
    prepared = prepare(arrays, splits, recipe, backbone, seed, begun=bool(before.history))
    _remove_other_states(state_path)
    targets = None
    if recipe.teacher_folds and not before.finished:

        def teacher(number: int, its_splits: pd.DataFrame) -> Any:
            return train_classifier(
                arrays,
                its_splits,
                recipe=recipe.model_copy(update={"teacher_folds": 0}),
                backbone=backbone,
                seed=seed,
                state_folder=state_folder / f"teacher-{number}",
                precision=precision,
            ).model

        targets = soft_targets(
            arrays, splits, teachers=recipe.teacher_folds, share=recipe.teacher_share, seed=seed, train=teacher
        )
    history = fit(
        prepared.model,
        arrays.pixels,
        prepared.train,
        prepared.validation,
        recipe,
        seed=seed,
        state_path=state_path,
        precision=precision,
        targets=targets,
    )
    return TrainedClassifier(
        prepared.model,
        history,
        recipe,
        backbone,
        train_pictures=len(prepared.train[0]),
        validation_pictures=len(prepared.validation[0]),
        resumed_after_epoch=len(before.history),
        precision=precision,
    )


@dataclass(frozen=True)
class Prepared:
    """What `fit` needs: the classifier to be trained, and rows and class indices of either side of the split."""

    model: Any
    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]


def prepare(
    arrays: ImageArrays, splits: pd.DataFrame, recipe: Recipe, backbone: BackboneChoice, seed: int, *, begun: bool
) -> Prepared:
    """Return what is trained and on what; see `train_classifier`.

    Args:
        begun: Whether there is a state, whose weights will take the place of the initial ones.
    """
    train = labelled_pictures(arrays, splits[splits["split"] == TRAIN])
    validation = labelled_pictures(arrays, splits[splits["split"] == VALIDATION])
    model = backbone.build(arrays.size, recipe.dropout, seed)
    initial = Path(backbone.weights).expanduser()
    if initial.suffix == ENDING:
        refuse_learnt_from(initial, splits)
    if recipe.fit_head_first and not begun:
        weights = class_weights(train.labels, recipe.class_weight_power, recipe.class_weight_factors)
        fit_head(model, arrays.pixels, train.rows, train.labels, weights[train.labels])
    return Prepared(model, (train.rows, train.labels), (validation.rows, validation.labels))


def training_identity(
    arrays: ImageArrays,
    splits: pd.DataFrame,
    recipe: Recipe,
    backbone: BackboneChoice,
    seed: int,
    precision: Precision,
) -> str:
    """Return the fingerprint of all that decides a training's result: equal identities, equal models on one machine."""
    return fingerprint_json(what_decides(arrays, splits, recipe, backbone, seed, precision))


def what_decides(
    arrays: ImageArrays,
    splits: pd.DataFrame,
    recipe: Recipe,
    backbone: BackboneChoice,
    seed: int,
    precision: Precision,
) -> dict[str, Any]:
    """Return all that decides a training's result, by name."""
    return {
        "code": TRAINING_VERSION,
        "recipe": recipe.choices,
        "backbone": _identity_of_weights(backbone),
        "seed": seed,
        "precision": precision,
        "pictures": arrays.fingerprint,
        "splits": fingerprint_table(splits[["image_id", "dx", "split"]]),
    }


def _identity_of_weights(backbone: BackboneChoice) -> dict[str, Any]:
    """Return the choice with a weights file's content in place of its path."""
    choice = backbone.model_dump()
    path = Path(backbone.weights).expanduser()
    if path.is_file():
        choice["weights"] = sha256_of_file(path)
    return choice


def _remove_other_states(kept: Path) -> None:
    """Remove what is left of trainings that will not be continued."""
    for pattern in ("*.npz", f"*{ACTIVATIONS}"):
        for other in kept.parent.glob(pattern):
            if not other.name.startswith(f"{kept.stem}."):
                other.unlink()
