"""The asset of the stage `dataset` about what lies over the skin."""

import dagster as dg
import pandas as pd

from derma_assets.dataset.here import on_this_host
from derma_assets.dataset.picture_artefacts import artefact_flags, artefacts_table
from derma_assets.settings import settings
from derma_assets.stage import stage_asset
from derma_assets.storage.earlier_table import earlier_table
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets.ui_metadata import note, table_preview


@stage_asset("dataset", kinds={"scipy", "pillow"}, io_manager_key="table", code_version="1")
def picture_artefacts(raw_images: pd.DataFrame) -> dg.MaterializeResult:
    """How much of each picture is dark hair, tick marks of a scale, dark corners or blue ink.

    A model can learn such things instead of the lesion. They are heuristics, with thresholds chosen by eye;
    `data_quality` shows the pictures. `measured` counts those whose file has changed since the last run; the others are
    taken from it.
    """
    previous = earlier_table(settings().store, "picture_artefacts")
    table, measured = artefacts_table(on_this_host(raw_images, settings()), previous)
    flags = artefact_flags(table)
    return dg.MaterializeResult(
        value=table,
        metadata={
            "pictures": len(table),
            "measured": measured,
            **{str(name): int(count) for name, count in flags.sum().items()},
            "shares": table_preview(flags.mean().rename("share of pictures").rename_axis("artefact").reset_index()),
            "preview": table_preview(table.drop(columns=["sha256", "measured_by"])),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )
