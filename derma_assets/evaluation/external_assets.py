"""The asset `external_validation`: the model on data sets of others, one partition each."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from derma_assets.calibration.input_guard import read_guard
from derma_assets.dataset.visible_files import visible_files
from derma_assets.evaluation.external_run import Judged, materialized, validate
from derma_assets.settings import settings
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_json, sha256_of_file
from derma_assets.storage.stored_model import StoredModel
from derma_assets.ui_metadata import note

EXTERNAL_DATASETS = dg.StaticPartitionsDefinition(sorted(settings().external_datasets))
READ_SETTINGS = ["bootstrap_resamples", "seed", "allowed_unreadable"]


def content_of_folder(context: dg.AssetExecutionContext) -> str:
    """Return the fingerprint of the partition's folder, of which Dagster knows nothing."""
    folder = settings().external_datasets[context.partition_key].absolute()
    files = sorted(visible_files(folder))
    return fingerprint_json({path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files})


@stage_asset(
    "evaluation",
    kinds={"keras", "numpy"},
    io_manager_key="table",
    code_version="3",
    reads_settings=READ_SETTINGS,
    automatic=False,
    also=content_of_folder,
    partitions_def=EXTERNAL_DATASETS,
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
    judged = Judged(
        model=trained_model.load(),
        temperature=calibrated_temperature["temperature"],
        points=operating_points,
        guard=read_guard(input_guard),
        splits=training_set,
        hashes=raw_images,
    )
    return materialized(validate(settings().external_datasets[context.partition_key], judged, settings()), note())
