"""A second code location for what is partitioned: studies beside the graph, on what the graph has stored.

`dagster asset materialize --select '*'` refuses a selection that holds a partitioned asset; with these in a location
of their own the whole graph stays one command. The UI shows both as one graph.
"""

import dagster as dg

from derma_assets.automation.console import console_logger
from derma_assets.evaluation import external_assets, fold_assets
from derma_assets.execution.executors import chosen_executor
from derma_assets.release import assets as release_assets
from derma_assets.settings import settings
from derma_assets.storage.io_managers import io_managers
from derma_assets.study import study_assets

# What the studies read, and how it is stored.
_UPSTREAM = {
    "trained_model": "keras_model",
    "calibrated_temperature": "document",
    "operating_points": "document",
    "input_guard": "folder",
    "raw_images": "table",
    "image_arrays": "folder",
    "grouped_splits": "table",
    "training_set": "table",
}

defs = dg.Definitions(
    assets=[
        *dg.load_assets_from_modules([external_assets, release_assets, fold_assets, study_assets]),
        *(dg.AssetSpec(name).with_io_manager_key(key) for name, key in _UPSTREAM.items()),
    ],
    resources=io_managers(settings().store, force=settings().force),
    loggers={"console": console_logger},
    executor=chosen_executor(settings()),
)
