"""What a release is made of, read from the store of one data set, and whether it all belongs together."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.browser.bundle import changed_files, read_manifest
from derma_assets.browser.parity_record import parity_of
from derma_assets.browser.variants import read_variants
from derma_assets.errors import UserError
from derma_assets.release.recompute import (
    Calibration,
    document_differences,
    recalibrated,
    recomputed,
    table_differences,
)
from derma_assets.storage.fingerprint import fingerprint_arrays, fingerprint_folder, fingerprint_json, fingerprint_table
from derma_assets.storage.paths import how_to_store, stored_path
from derma_assets.storage.published import fetched_path
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training.backbones import BACKBONES
from derma_assets.training.classifier import shape_of
from derma_assets.training.predictions import LOGIT_COLUMNS

TABLES = (
    "overall_metrics",
    "per_class_metrics",
    "confusion_matrix",
    "reliability",
    "view_metrics",
    "subgroup_metrics",
    "refusal_rates",
    "training_history",
)
# Released if a run has made them.
MORE_TABLES = ("subgroup_gaps", "explanations", "risk_coverage", "decision_curve", "class_calibration")
_PREDICTIONS = ("predictions", "view_predictions", "training_set", "raw_images")
_DOCUMENTS = ("calibrated_temperature", "operating_points", "view_calibration")
_FOLDERS = ("tfjs_bundle", "tfjs_model", "input_guard")
MODEL_CARD = "model_card"


@dataclass(frozen=True)
class Contents:
    """The stored assets of a data set that a release is made of.

    Attributes:
        store: The store.
        model: The trained classifier.
        manifest: Of the stored bundle.
        tables: The tables of the evaluation and the training, by name.
        predictions: The table `view_predictions`.
        single: The table `predictions`.
        splits: The table `training_set`.
        looks: `image_id` and `phash` of every picture.
        calibration: Temperatures and thresholds.
    """

    store: Path
    model: Any
    manifest: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    predictions: pd.DataFrame
    single: pd.DataFrame
    splits: pd.DataFrame
    looks: pd.DataFrame
    calibration: Calibration

    @property
    def bundle(self) -> Path:
        """Folder of the stored bundle."""
        return stored_path(self.store, "tfjs_bundle", "folder")

    @property
    def weights_fingerprint(self) -> str:
        """Data version of `trained_model`."""
        return fingerprint_arrays(self.model.get_weights())

    def backbone(self) -> dict[str, Any]:
        """Return architecture, image_size, alpha and trainable_layers of the model."""
        shape = shape_of(self.model)
        return {
            "architecture": BACKBONES[shape.architecture].name,
            "image_size": shape.image_size,
            "alpha": shape.alpha,
            "trainable_layers": shape.trainable_layers,
        }

    def model_card(self) -> list[Path]:
        """Return the files of the model card, if a run has made one."""
        folder = fetched_path(self.store, MODEL_CARD, "folder")
        return [path for path in (folder / f"{MODEL_CARD}.{kind}" for kind in ("html", "md")) if path.is_file()]


def read_contents(store: Path) -> Contents:
    """Read what a release is made of.

    Raises:
        UserError: an asset is missing; the message says which, and what to run.
    """
    required = {
        **dict.fromkeys((*TABLES, *_PREDICTIONS), "table"),
        **dict.fromkeys(_DOCUMENTS, "document"),
        **dict.fromkeys(_FOLDERS, "folder"),
        "trained_model": "keras_model",
    }
    paths = {asset: fetched_path(store, asset, key) for asset, key in required.items()}
    missing = [asset for asset, path in paths.items() if not path.exists()]
    if missing:
        others = f" Also missing: {', '.join(missing[1:])}." if missing[1:] else ""
        raise UserError(f"nothing can be released: {how_to_store(missing[0], paths[missing[0]])}.{others}")
    more = {asset: fetched_path(store, asset, "table") for asset in MORE_TABLES}
    tables = {asset: paths[asset] for asset in TABLES} | {asset: path for asset, path in more.items() if path.exists()}
    temperature, points, views = (json.loads(paths[asset].read_text()) for asset in _DOCUMENTS)
    single, predictions, splits, images = (pd.read_parquet(paths[asset]) for asset in _PREDICTIONS)
    return Contents(
        store=store,
        model=import_keras().models.load_model(paths["trained_model"], compile=False),
        manifest=read_manifest(paths["tfjs_bundle"]),
        tables={asset: pd.read_parquet(path) for asset, path in tables.items()},
        predictions=predictions,
        single=single,
        splits=splits,
        looks=images[["image_id", "phash"]],
        calibration=Calibration(temperature, points, views),
    )


def problems(contents: Contents, resamples: int, seed: int, clinic_prevalence: float) -> list[str]:
    """Return what speaks against releasing these assets together, a line each.

    Looked at: the bundle's files; whether it was made from the stored assets; whether model, predictions, calibration
    and metrics are of one run, by computing them anew; and what the check `browser_parity` said of this bundle.

    Args:
        contents: What would be released.
        resamples: Number of resamples of lesions behind the stored intervals.
        seed: Of the resamples.
        clinic_prevalence: That the stored decision curve was weighted to.
    """
    found = []
    if contents.manifest["dataset"]["synthetic"]:
        found.append("the bundle says that its model was trained on generated pictures")
    changed = changed_files(contents.bundle)
    if changed:
        found.append(f"files of the bundle are not as its manifest says: {', '.join(changed)}")
    made_from = contents.manifest["versions"]["data"]
    others = [asset for asset, version in _versions(contents).items() if made_from.get(asset) != version()]
    if others:
        found.append(f"the bundle was made from another {', '.join(others)} than the stored one")
    of_one_view = contents.predictions[contents.predictions["views"] == 1].drop(columns="views")
    if not of_one_view.reset_index(drop=True).equals(contents.single.reset_index(drop=True)):
        found.append("view_predictions were made from other predictions than the stored ones")
    found += _not_of_the_model(contents)
    sides = contents.splits.set_index("image_id")["split"]
    if (contents.single["image_id"].map(sides) != contents.single["split"]).any():
        found.append("predictions were made with another split than the stored one")
    again = recalibrated(contents.predictions, contents.calibration.points).documents()
    for name, document in contents.calibration.documents().items():
        found += document_differences(name, document, json.loads(json.dumps(again[name])))[:1]
    tables = recomputed(contents.predictions, contents.calibration, resamples, seed, clinic_prevalence)
    for name, table in tables.items():
        if name in contents.tables:
            found += table_differences(name, contents.tables[name], table)[:1]
    outcome, said = parity_of(contents.bundle)
    if outcome != "passed":
        found.append(
            f"browser_parity has not passed for this bundle ({outcome}: {said}); "
            "`make materialize SELECT=tfjs_bundle` makes it again and runs the check"
        )
    return found


def _versions(contents: Contents) -> dict[str, Callable[[], str]]:
    """Return how to compute the data version of what is stored now, for the assets that a bundle names."""
    tables = ("refusal_rates", "overall_metrics", "per_class_metrics", "subgroup_metrics", "view_metrics")
    folders = ("tfjs_model", "input_guard")
    return {
        "trained_model": lambda: contents.weights_fingerprint,
        "training_set": lambda: fingerprint_table(contents.splits),
        "view_calibration": lambda: fingerprint_json(contents.calibration.views),
        **{name: lambda name=name: fingerprint_table(contents.tables[name]) for name in tables},  # type: ignore[misc]
        **{
            name: lambda name=name: fingerprint_folder(stored_path(contents.store, name, "folder"))  # type: ignore[misc]
            for name in folders
        },
    }


def _not_of_the_model(contents: Contents) -> list[str]:
    """Return a line if the predictions are not what the model says.

    `tfjs_model` has run the trained model on test itself: what it found must be what the predictions say.
    """
    comparison = read_variants(stored_path(contents.store, "tfjs_model", "folder")).comparison.set_index("variant")
    overall = contents.tables["overall_metrics"].set_index("metric")["value"]
    logits = contents.single[LOGIT_COLUMNS].to_numpy()
    same = np.isfinite(logits).all() and all(
        abs(comparison.loc["keras", metric] - overall[metric]) < 1e-4 for metric in ("accuracy", "macro_f1")
    )
    return [] if same else ["predictions and overall_metrics are of another model than tfjs_model"]
