"""Assets of the stage `dataset` that say where the lesion is and what the skin around it looks like."""

from pathlib import Path

import dagster as dg
import pandas as pd

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.lesion_figures import agreement_figure, masks_figure, tone_strips_figure, tones_figure
from derma_assets.dataset.lesion_masks import (
    ESTIMATED,
    GIVEN,
    LesionMasks,
    agreement_summary,
    build_lesion_masks,
    estimate_agreement,
    masks_fingerprint,
)
from derma_assets.dataset.skin_tone import OFF_SCALE, repeatability, skin_tones, tone_counts
from derma_assets.dataset.source import locate_dataset
from derma_assets.settings import settings
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets.storage.paths import building_folder
from derma_assets.storage.published import what_was_stored
from derma_assets.ui_metadata import figure, note, table_preview

# How many lesions the estimate is compared on with the data set's masks.
_COMPARED = 400


@stage_asset(
    "dataset",
    kinds={"numpy", "scikitimage"},
    io_manager_key="folder",
    code_version="1",
    reads_settings=["dataset"],
    also=lambda _: masks_fingerprint(locate_dataset(settings()).masks),  # files that Dagster knows nothing of
)
def lesion_masks(image_arrays: Path, raw_metadata: pd.DataFrame) -> dg.MaterializeResult:
    """Where the lesion is in every picture of `image_arrays`: the data set's mask, or an estimate where it has none.

    Cut and scaled as the pictures are. Look at the outlines, and at `source` before trusting a figure that rests on
    masks: `dice` says how well estimated masks agree with the data set's own, on lesions that have one. Where the data
    set has no masks at all, as the embedded sample, nothing says how good the estimates are but the figure.
    """
    store, arrays = settings().store, ImageArrays.open(image_arrays)
    previous = what_was_stored(store, "lesion_masks", "folder")
    with building_folder(store, "lesion_masks") as folder:
        counts = build_lesion_masks(arrays, locate_dataset(settings()).masks, folder, previous)
        masks = LesionMasks.open(folder)
    shares = masks.shares()
    agreement = estimate_agreement(arrays, masks, raw_metadata.set_index("image_id")["lesion_id"], _COMPARED)
    return dg.MaterializeResult(
        value=folder,
        metadata={
            "given": int((masks.index["source"] == GIVEN).sum()),
            "estimated": int((masks.index["source"] == ESTIMATED).sum()),
            "made": counts.made,
            "copied": counts.reused,
            "empty": int((shares == 0).sum()),
            "mean_share_of_picture": float(shares.mean()),
            "outlines": figure(masks_figure(arrays.pixels, masks.masks), photographs=True),
            **agreement_summary(agreement),
            "agreement": figure(agreement_figure(agreement)) if len(agreement) else "the data set has no masks",
            "preview": table_preview(masks.index),
            "note": note(),
        },
        data_version=dg.DataVersion(masks.fingerprint),
    )


@stage_asset("dataset", kinds={"scikitimage", "pandas"}, io_manager_key="table", code_version="1")
def skin_tone(image_arrays: Path, lesion_masks: Path, raw_metadata: pd.DataFrame) -> dg.MaterializeResult:
    """Skin tone estimated in every picture: the individual typology angle (ITA) of the skin around the lesion.

    Read it as a property of the picture, not of the patient: there is no colour target in a dermatoscopic picture, and
    lamp, white balance and the camera's processing move the angle by whole groups. `off_scale` counts pictures whose
    skin is bluer than grey, as no skin is: a colour cast. `of_one_lesion_...` compare two pictures of the same lesion,
    which show the same skin. Look at the examples: on HAM10000 what counts as tan or brown is light skin in reddish
    pictures, most of them follow-up pictures of nevi, so a tone there is first of all a camera. HAM10000 is nearly all
    light skin from Austria and Australia, without Fitzpatrick types: nothing here says anything about dark skin.
    """
    arrays, masks = ImageArrays.open(image_arrays), LesionMasks.open(lesion_masks)
    table = skin_tones(arrays, masks)
    repeated = repeatability(table, raw_metadata.set_index("image_id")["lesion_id"])
    counts = tone_counts(table, raw_metadata)
    return dg.MaterializeResult(
        value=table,
        metadata={
            "pictures": len(table),
            "off_scale": float((table["tone"] == OFF_SCALE).mean()),
            "median_ita": float(table["ita"].median()),
            "median_yellowness": float(table["yellowness"].median()),
            **{f"of_one_lesion_{name}": value for name, value in repeated.items()},
            "tones": table_preview(counts, rows=len(counts)),
            "histogram": figure(tones_figure(table)),
            "examples": figure(tone_strips_figure(arrays, table, masks.of(arrays.image_ids)), photographs=True),
            "preview": table_preview(table),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )
