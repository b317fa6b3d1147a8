"""Judging a model on somebody else's data set: reading it, leaving out what was learnt from, every table."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from derma_assets.calibration.input_guard import InputGuard
from derma_assets.dataset.image_arrays import ImageArrays, build_image_arrays
from derma_assets.dataset.manifest import build_manifest, problems
from derma_assets.errors import InputError
from derma_assets.evaluation.external_dataset import ExternalDataset, read_external
from derma_assets.evaluation.external_report import confusion_figure, counted, external_markdown
from derma_assets.evaluation.external_validation import (
    external_table,
    left_out_rows,
    refused_row,
    same_files,
    seen_in_training,
)
from derma_assets.settings import Settings
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets.storage.paths import building_folder
from derma_assets.training.predictor import Predictor, feature_extractor
from derma_assets.ui_metadata import figure, table_preview


@dataclass(frozen=True)
class Judged:
    """A model and all that belongs to it.

    Attributes:
        model: The Keras classifier, from (n, S, S, 3) pictures to (n, 7) logits.
        temperature: The calibrated one.
        points: For each operating point ("melanoma", "referral") a document with its `threshold`.
        guard: Refuses pictures that the model was not made for.
        splits: `image_id`, `lesion_id`, `dx`, `split` of its own pictures.
        hashes: `image_id`, `status`, `sha256`, `phash` of the same.
    """

    model: Any
    temperature: float
    points: Mapping[str, Any]
    guard: InputGuard
    splits: pd.DataFrame
    hashes: pd.DataFrame


@dataclass(frozen=True)
class Found:
    """What a validation found.

    Attributes:
        dataset: As it was read.
        table: Columns `external_validation.COLUMNS`.
        truth: `image_id`, `lesion_id`, `label` of the pictures that were judged.
        left_out: `picture` and `reason`, one row for each that was not.
        seen: How many of those the model had learnt from.
        refused: Share of the judged pictures that the app would refuse.
    """

    dataset: ExternalDataset
    table: pd.DataFrame
    truth: pd.DataFrame
    left_out: pd.DataFrame
    seen: int
    refused: float


def validate(folder: Path, judged: Judged, chosen: Settings) -> Found:
    """Judge a model on the data set in `folder`.

    Raises:
        InputError: the data set cannot be read, more pictures are unreadable than is allowed, or none is left.
    """
    dataset = read_external(folder)
    ids = dataset.truth["image_id"].tolist()
    manifest = build_manifest(ids, dataset.pictures, folder, None).table
    unreadable = problems(manifest)
    if len(unreadable) > chosen.allowed_unreadable:
        raise InputError(
            f"{len(unreadable)} of {len(ids)} pictures cannot be read, for example {unreadable['problem'].iloc[0]}. "
            f"Replace them, or let DERMA_ALLOWED_UNREADABLE={len(unreadable)} leave them out."
        )
    labels = zip(dataset.truth["image_id"], dataset.truth["label"], strict=True)
    repeated = same_files(manifest, {picture: dataset.classes[label] for picture, label in labels})
    manifest = manifest[~manifest["image_id"].isin(repeated["picture"])]
    known = seen_in_training(manifest, judged.hashes, judged.splits)
    manifest = manifest[~manifest["image_id"].isin(known)]
    if not (manifest["status"] == "ok").any():
        raise InputError(
            "no picture of this data set is left: each was used in training, looks like one that was, or is there "
            "twice with different classes."
        )
    with building_folder(chosen.store, "external_validation") as scratch:
        build_image_arrays(manifest, judged.model.input_shape[1], scratch)
        arrays = ImageArrays.open(scratch)
        logits = Predictor(judged.model)(arrays.pixels)
        layer = judged.guard.familiarity.layer
        features = feature_extractor(judged.model, layer)(arrays.pixels, what="measuring unfamiliarity")
        reasons = judged.guard.refusals(judged.guard.measured(arrays.pixels, features))
        image_ids = arrays.image_ids
        del arrays
        shutil.rmtree(scratch)
    truth = dataset.truth.set_index("image_id").loc[image_ids].reset_index()
    table = external_table(
        logits, truth, dataset, judged.temperature, judged.points, chosen.bootstrap_resamples, chosen.seed
    )
    left_out = pd.concat(
        [
            dataset.left_out,
            repeated,
            pd.DataFrame({"picture": known, "reason": "was used in training, or looks like one that was"}),
            pd.DataFrame({"picture": unreadable["image_id"], "reason": unreadable["problem"]}),
        ],
        ignore_index=True,
    )
    refused = refused_row(reasons, truth["lesion_id"].nunique())
    return Found(
        dataset,
        pd.concat([table, refused, *([left_out_rows(left_out)] if len(left_out) else [])], ignore_index=True),
        truth,
        left_out,
        len(known),
        float(np.mean(reasons != "")),
    )


def materialized(found: Found, note: dg.MetadataValue) -> dg.MaterializeResult:
    """Return the table, with everything that a reader of the UI looks for beside it.

    Args:
        found: What `validate` found.
        note: What every reader must know of the model.
    """
    overall = found.table[found.table["section"] == "overall"]
    because = found.left_out["reason"].value_counts().rename("pictures").reset_index()
    return dg.MaterializeResult(
        value=found.table,
        metadata={
            **dict(zip(overall["metric"], overall["value"], strict=True)),
            "layout": found.dataset.layout,
            "images": len(found.truth),
            "lesions": int(found.truth["lesion_id"].nunique()),
            "seen_in_training": found.seen,
            "refused": found.refused,
            "classes": dg.MetadataValue.json({label: list(codes) for label, codes in found.dataset.classes.items()}),
            "table": dg.MetadataValue.md(f"{counted(found.table)}\n\n{external_markdown(found.table)}"),
            "confusion": figure(confusion_figure(found.table)),
            "left_out": len(found.left_out),
            "left_out_because": table_preview(because, rows=30) if len(because) else "none",
            "left_out_pictures": table_preview(found.left_out, rows=50) if len(because) else "none",
            "note": note,
        },
        data_version=dg.DataVersion(fingerprint_table(found.table)),
    )
