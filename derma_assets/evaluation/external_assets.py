"""The asset `external_validation`: the model on data sets of others, one partition each."""

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from derma_assets.calibration.input_guard import read_guard
from derma_assets.dataset.image_arrays import ImageArrays, build_image_arrays
from derma_assets.dataset.manifest import build_manifest, problems
from derma_assets.errors import InputError
from derma_assets.evaluation.external_dataset import read_external
from derma_assets.evaluation.external_report import confusion_figure, external_markdown
from derma_assets.evaluation.external_validation import external_table, refused_row, seen_in_training
from derma_assets.settings import settings
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets.storage.paths import building_folder
from derma_assets.storage.stored_model import StoredModel
from derma_assets.training.predictor import Predictor, feature_extractor
from derma_assets.ui_metadata import figure, note, table_preview


@stage_asset(
    "evaluation",
    kinds={"keras", "numpy"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["bootstrap_resamples", "seed", "allowed_unreadable"],
    automatic=False,
    partitions_def=dg.StaticPartitionsDefinition(sorted(settings().external_datasets)),
)
def external_validation(
    context: dg.AssetExecutionContext,
    trained_model: StoredModel,
    calibrated_temperature: dict[str, Any],
    operating_points: dict[str, Any],
    input_guard: Path,
    raw_images: pd.DataFrame,
    training_set: pd.DataFrame,
) -> dg.MaterializeResult:
    """Every figure again on pictures that others took: what says whether the model travels.

    One partition for each data set in `DERMA_EXTERNAL_DATASETS` (`name=folder,...`); pictures that the model has seen
    in training are left out. Compare with `overall_metrics`: a fall is normal, its size is the news. Many refused
    pictures mean that theirs do not look like ours, and that the figures say little about either. `left_out` lists what
    could not be judged, and why.
    """
    chosen = settings()
    dataset = read_external(chosen.external_datasets[context.partition_key])
    ids = dataset.truth["image_id"].tolist()
    manifest = build_manifest(ids, dataset.pictures, chosen.external_datasets[context.partition_key], None).table
    unreadable = problems(manifest)
    if len(unreadable) > chosen.allowed_unreadable:
        raise InputError(
            f"{len(unreadable)} of {len(ids)} pictures cannot be read, for example {unreadable['problem'].iloc[0]}. "
            f"Replace them, or let DERMA_ALLOWED_UNREADABLE={len(unreadable)} leave them out."
        )
    known = seen_in_training(manifest, raw_images, training_set)
    manifest = manifest[~manifest["image_id"].isin(known)]
    if not (manifest["status"] == "ok").any():
        raise InputError("every picture of this data set was used in training, or looks like one that was.")
    with building_folder(chosen.store, "external_validation") as folder:
        model = trained_model.load()
        build_image_arrays(manifest, model.input_shape[1], folder)
        arrays = ImageArrays.open(folder)
        logits = Predictor(model)(arrays.pixels)
        guard = read_guard(input_guard)
        features = feature_extractor(model, guard.familiarity.layer)(arrays.pixels, what="measuring unfamiliarity")
        reasons = guard.refusals(guard.measured(arrays.pixels, features))
        judged = arrays.image_ids
        del arrays
        shutil.rmtree(folder)
    truth = dataset.truth.set_index("image_id").loc[judged].reset_index()
    table = external_table(
        logits,
        truth,
        dataset,
        calibrated_temperature["temperature"],
        operating_points,
        chosen.bootstrap_resamples,
        chosen.seed,
    )
    table = pd.concat([table, refused_row(reasons, truth["lesion_id"].nunique())], ignore_index=True)
    left_out = pd.concat(
        [
            dataset.left_out,
            pd.DataFrame({"picture": known, "reason": "was used in training, or looks like one that was"}),
            pd.DataFrame({"picture": unreadable["image_id"], "reason": unreadable["problem"]}),
        ],
        ignore_index=True,
    )
    overall = table[table["section"] == "overall"]
    return dg.MaterializeResult(
        value=table,
        metadata={
            **dict(zip(overall["metric"], overall["value"], strict=True)),
            "layout": dataset.layout,
            "images": len(truth),
            "lesions": int(truth["lesion_id"].nunique()),
            "seen_in_training": len(known),
            "refused": float(np.mean(reasons != "")),
            "classes": dg.MetadataValue.json({label: list(codes) for label, codes in dataset.classes.items()}),
            "table": dg.MetadataValue.md(external_markdown(table)),
            "confusion": figure(confusion_figure(table)),
            "left_out": len(left_out),
            "left_out_because": table_preview(_counted(left_out), rows=30) if len(left_out) else "none",
            "left_out_pictures": table_preview(left_out, rows=50) if len(left_out) else "none",
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )


def _counted(left_out: pd.DataFrame) -> pd.DataFrame:
    return left_out["reason"].value_counts().rename("pictures").reset_index()
