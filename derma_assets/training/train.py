"""Training as a whole: choose a recipe, build the classifier, fit it, and keep the state between epochs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.splits.grouped_splits import TRAIN, VALIDATION
from derma_assets.storage.fingerprint import fingerprint_json, fingerprint_table, sha256_of_file
from derma_assets.training.checkpoint import TrainingState
from derma_assets.training.fit import fit
from derma_assets.training.hardware import Precision
from derma_assets.training.labelled_pictures import labelled_pictures
from derma_assets.training.mobilenet import build_classifier
from derma_assets.training.recipe import Recipe
from derma_assets.training.weights_file import ENDING, refuse_learnt_from

# Raised when the code that trains changes its results, so that no state of older code is continued.
TRAINING_VERSION = "2"


class BackboneChoice(BaseModel):
    """Which MobileNet is trained: its initial weights, its width, and how much of it learns."""

    model_config = ConfigDict(frozen=True)

    weights: str
    alpha: float
    trainable_layers: int


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
) -> TrainedClassifier:
    """Train a classifier on the split `train`, choosing its epoch on `validation`.

    A training with the same pictures, split, recipe, backbone and seed that was interrupted is continued.

    Args:
        arrays: The decoded pictures.
        splits: Columns image_id, lesion_id, dx, split.
        recipe: How to train.
        backbone: Which MobileNet.
        seed: Seed of everything random.
        state_folder: Folder of the state that is kept between epochs; other trainings' states in it are removed.
        precision: How the layers are computed while training, see `hardware.native_precision`.

    Raises:
        InputError: weights that cannot be had, or that have learnt from what is held out now.
    """
    train = labelled_pictures(arrays, splits[splits["split"] == TRAIN])
    validation = labelled_pictures(arrays, splits[splits["split"] == VALIDATION])
    model = build_classifier(
        arrays.size,
        alpha=backbone.alpha,
        weights=backbone.weights,
        trainable_layers=backbone.trainable_layers,
        dropout=recipe.dropout,
        seed=seed,
    )
    initial = Path(backbone.weights).expanduser()
    if initial.suffix == ENDING:
        refuse_learnt_from(initial, splits)
    state_path = _only_state(state_folder, training_identity(arrays, splits, recipe, backbone, seed, precision))
    resumed_after = len(TrainingState.load(state_path).history)
    history = fit(
        model,
        arrays.pixels,
        (train.rows, train.labels),
        (validation.rows, validation.labels),
        recipe,
        seed=seed,
        state_path=state_path,
        precision=precision,
    )
    return TrainedClassifier(
        model, history, recipe, backbone, len(train.rows), len(validation.rows), resumed_after, precision
    )


def training_identity(
    arrays: ImageArrays,
    splits: pd.DataFrame,
    recipe: Recipe,
    backbone: BackboneChoice,
    seed: int,
    precision: Precision,
) -> str:
    """Return the fingerprint of all that decides a training's result: equal identities, equal models on one machine."""
    return fingerprint_json(
        {
            "code": TRAINING_VERSION,
            "recipe": recipe.model_dump(),
            "backbone": _identity_of_weights(backbone),
            "seed": seed,
            "precision": precision,
            "pictures": arrays.fingerprint,
            "splits": fingerprint_table(splits[["image_id", "dx", "split"]]),
        }
    )


def _identity_of_weights(backbone: BackboneChoice) -> dict[str, Any]:
    """Return the choice with a weights file's content in place of its path."""
    choice = backbone.model_dump()
    path = Path(backbone.weights).expanduser()
    if path.is_file():
        choice["weights"] = sha256_of_file(path)
    return choice


def _only_state(folder: Path, identity: str) -> Path:
    """Return the state file of this training, removing those of trainings that will not be continued."""
    kept = folder / f"{identity}.npz"
    for other in folder.glob("*.npz"):
        if other != kept:
            other.unlink()
    return kept
