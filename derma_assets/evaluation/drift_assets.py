"""Whether what arrives is like what the model was trained on."""

from pathlib import Path

import dagster as dg
import pandas as pd

from derma_assets.calibration.input_guard import read_guard
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.spread import spread_rows
from derma_assets.evaluation.drift import LEAST_ARRIVED, class_shares, drift_table, drifted, measured
from derma_assets.evaluation.drift_figures import drift_figure
from derma_assets.settings import settings
from derma_assets.splits.training_set import arrived_since
from derma_assets.stage import stage_asset
from derma_assets.storage.earlier_table import earlier_table
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets.storage.published import known_record, what_was_stored
from derma_assets.storage.stored_model import StoredModel
from derma_assets.training.predictor import feature_extractor
from derma_assets.ui_metadata import figure, note, table_preview

# So many of the known pictures are enough to compare with.
_KNOWN = 2000


# What is stored further down of the last training, and by which IO manager: what arrives is compared with it.
_OF_THE_LAST_TRAINING = {"training_set": "table", "input_guard": "folder", "trained_model": "keras_model"}


def _last_training(_: dg.AssetExecutionContext) -> list[str | None]:
    """Return the data versions of the last training, None of what is not stored or damaged."""
    store, versions = settings().store, list[str | None]()
    for name, key in _OF_THE_LAST_TRAINING.items():
        record = known_record(store, name) if what_was_stored(store, name, key) else None
        versions.append(record.data_version if record else None)
    return versions


@stage_asset(
    "evaluation",
    kinds={"scipy", "numpy"},
    io_manager_key="table",
    code_version="1",
    also=_last_training,
)
def data_drift(
    context: dg.AssetExecutionContext, image_arrays: Path, grouped_splits: pd.DataFrame, raw_images: pd.DataFrame
) -> dg.MaterializeResult:
    """New pictures beside those of the last training set: diagnoses, colour, light, focus, size, and how unfamiliar.

    Made before `training_set` takes them in. `distance` is from 0, alike, to 1, nothing in common; one that is large
    and no chance is marked as drifted: look at the figure before you let such pictures into a training. Another camera,
    another clinic's mix of patients, or pictures that are none of skin look like that.
    """
    store = settings().store
    # Whatever of them is damaged is made again further down: until then it is as if it had never been there.
    arrived, known = arrived_since(grouped_splits, earlier_table(store, "training_set"))
    arrays = ImageArrays.open(image_arrays)
    sides = [part[part["image_id"].isin(arrays.image_ids)].reset_index(drop=True) for part in (known, arrived)]
    sides[0] = sides[0].iloc[spread_rows(sides[0].index.to_numpy(), _KNOWN)].reset_index(drop=True)
    guard_path = what_was_stored(store, "input_guard", "folder") if len(arrived) else None
    model_path = what_was_stored(store, "trained_model", "keras_model") if len(arrived) else None
    sizes = raw_images.set_index("image_id")[["width", "height"]]
    tables = []
    for side in sides:
        pixels = arrays.pixels.at(arrays.rows(side["image_id"].tolist()))
        table = measured(pixels).assign(dx=side["dx"])
        table[["width", "height"]] = sizes.loc[side["image_id"]].to_numpy(float)
        if guard_path and model_path:
            familiarity = read_guard(guard_path).familiarity
            features = feature_extractor(StoredModel(model_path).load(), familiarity.layer)(pixels)
            table["unfamiliarity"] = familiarity.unfamiliarity(features)
        tables.append(table)
    table = drift_table(*tables)
    found = drifted(table)
    if found:  # said here as well as by the check, which a training need not wait for
        context.log.warning(f"what arrived is unlike what the model was trained on: {found}")
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(fingerprint_table(table)),
        metadata={
            "arrived": len(sides[1]),
            "enough_to_judge": len(sides[1]) >= LEAST_ARRIVED,
            "drifted": found or "nothing",
            "measures_drifted": int(table["drifted"].sum()),
            **{
                f"{name}_distance": distance for name, distance in zip(table["measure"], table["distance"], strict=True)
            },
            "distances": figure(drift_figure(*tables)) if len(sides[1]) else "nothing has arrived",
            "diagnoses": table_preview(class_shares(sides[0]["dx"], sides[1]["dx"])),
            "table": table_preview(table, rows=len(table)),
            "note": note(),
        },
    )
