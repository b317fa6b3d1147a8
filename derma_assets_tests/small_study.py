"""A study small enough for a test: generated lesions on all three sides, and a model that was never trained."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from derma_assets.dataset.image_arrays import FORMAT, INDEX, PIXELS
from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION, model_input
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import CODES
from derma_assets.splits.grouped_splits import SIDES
from derma_assets.training.backbones import BACKBONES
from derma_assets.training.classifier import build_classifier

SIZE = 48
# Whose features tell unfamiliar pictures.
LAYER = BACKBONES["mobilenet"].middle
LESIONS_PER_CLASS = {"train": 8, "validation": 3, "test": 3}


@cache
def splits() -> pd.DataFrame:
    """Return a table as the asset `grouped_splits` is, one picture a lesion."""
    rows = [
        {"image_id": f"{side}_{code}_{lesion}", "lesion_id": f"{side}_{code}_{lesion}", "dx": code, "split": side}
        for side in SIDES
        for code in CODES
        for lesion in range(LESIONS_PER_CLASS[side])
    ]
    return pd.DataFrame(rows).assign(fold=0)


@cache
def pictures() -> np.ndarray:
    """Return (n, SIZE, SIZE, 3) uint8, one for each row of `splits`."""
    drawn = [draw_picture(dx, number, 0) for number, dx in enumerate(splits()["dx"])]
    return np.stack([model_input(picture, SIZE) for picture in drawn])


@cache
def model() -> Any:
    """Return a classifier with random weights."""
    return build_classifier(SIZE, alpha=0.25, weights="random", trainable_layers=86, dropout=0.25, seed=0)


def write_arrays(folder: Path) -> Path:
    """Write the pictures as the asset `image_arrays` is, and return the folder."""
    folder.mkdir(parents=True)
    np.save(folder / PIXELS, pictures())
    splits()[["image_id"]].assign(sha256="").to_parquet(folder / INDEX)
    (folder / FORMAT).write_text(json.dumps({"size": SIZE, "preprocessing": PREPROCESSING_VERSION}))
    return folder


def stand_ins(values: Mapping[str, tuple[str, Any]]) -> list[dg.AssetsDefinition]:
    """Return assets that give what they are told: the key of the IO manager and the value, by name."""

    def stand_in(name: str, io_manager_key: str, value: Any) -> dg.AssetsDefinition:
        @dg.asset(name=name, io_manager_key=io_manager_key)
        def compute() -> Any:
            return value

        return compute

    return [stand_in(name, key, value) for name, (key, value) in values.items()]


def upstream(folder: Path) -> list[dg.AssetsDefinition]:
    """Return stand-ins of the model, the pictures, the split and the training set."""
    return stand_ins(
        {
            "trained_model": ("keras_model", model()),
            "image_arrays": ("folder", write_arrays(folder / "arrays")),
            "grouped_splits": ("table", splits()),
            "training_set": ("table", splits()),
        }
    )
