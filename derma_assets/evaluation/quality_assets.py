"""The asset of the stage `evaluation` that says which pictures of the data set to look at."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from derma_assets.calibration.input_guard import read_guard
from derma_assets.dataset.here import on_this_host
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.evaluation.contact_sheets import contact_sheet, write_page
from derma_assets.evaluation.data_quality import FINDINGS, assess
from derma_assets.evaluation.label_errors import out_of_sample_probabilities
from derma_assets.settings import settings
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_json, fingerprint_table
from derma_assets.storage.paths import building_folder, stored_path
from derma_assets.ui_metadata import figure, note, table_preview

PAGE = "look_first.html"
_ON_SHEET, _OF_EACH = 24, 12


@stage_asset("evaluation", kinds={"cleanlab", "pillow"}, io_manager_key="folder", code_version="1")
def data_quality(
    raw_metadata: pd.DataFrame,
    raw_images: pd.DataFrame,
    image_arrays: Path,
    picture_artefacts: pd.DataFrame,
    input_guard: Path,
    predictions: pd.DataFrame,
    calibrated_temperature: dict[str, Any],
) -> dg.MaterializeResult:
    """Which pictures to look at first: labels that are probably wrong, duplicates, hair, scales, dark corners, ink.

    One row per picture in `pictures.parquet`, ranked, with the reason in words; `look_first.html` shows the thumbnails.
    Labels can only be judged where a model has said something without having seen the picture; `labels_judged` is that
    share. A likely label error is a disagreement with this model, which is wrong on a fifth of the pictures itself:
    something to look up, not to correct. Of HAM10000's, nine in ten were confirmed by histopathology, so most are the
    model's mistakes. The other findings are heuristics too; how precise they are on HAM10000, by eye, is in
    `dataset/picture_artefacts.py` and `evaluation/duplicates.py`.
    """
    store = settings().store
    probabilities = out_of_sample_probabilities(predictions, calibrated_temperature["temperature"])
    quality = assess(
        raw_metadata,
        raw_images,
        ImageArrays.open(image_arrays),
        picture_artefacts,
        read_guard(input_guard),
        probabilities,
    )
    here = on_this_host(raw_images, settings())
    path_of = dict(zip(here["image_id"], here["path"], strict=True))
    found = quality.pictures[quality.pictures["points"] > 0]
    with building_folder(store, "data_quality") as folder:
        quality.write(folder)
        write_page(quality, path_of, str(note().value), folder / PAGE)
    version = fingerprint_json([fingerprint_table(quality.pictures), fingerprint_table(quality.pairs)])
    return dg.MaterializeResult(
        value=folder,
        metadata={
            "pictures": len(quality.pictures),
            "with_a_finding": len(found),
            **quality.counts(),
            "labels_judged": quality.covered,
            "look_first": figure(contact_sheet(found.head(_ON_SHEET), path_of), photographs=True),
            **{
                f"first_{finding}": figure(contact_sheet(of_finding.head(_OF_EACH), path_of), photographs=True)
                for finding in FINDINGS
                if len(of_finding := quality.with_finding(finding))
            },
            "table": table_preview(found[["rank", "image_id", "dx", "dx_type", "points", "reason"]], rows=24),
            "pairs": table_preview(quality.pairs, rows=20) if len(quality.pairs) else "none",
            "page": dg.MetadataValue.path(str(stored_path(store, "data_quality", "folder") / PAGE)),
            "note": note(),
        },
        data_version=dg.DataVersion(version),
    )
