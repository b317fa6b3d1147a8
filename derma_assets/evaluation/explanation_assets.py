"""Asset of the stage `evaluation` that says where on the pictures the model looked."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.lesion_masks import ESTIMATED, LesionMasks
from derma_assets.evaluation.activation_maps import GRAD_CAM
from derma_assets.evaluation.explanation_figures import explanation_figure, gallery_figure
from derma_assets.evaluation.explanations import (
    ALL,
    PREDICTED,
    explain,
    explanation_table,
    gallery_rows,
    picture_figures,
)
from derma_assets.evaluation.report import explanations_markdown
from derma_assets.settings import settings
from derma_assets.splits.grouped_splits import TEST
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets.storage.stored_model import StoredModel
from derma_assets.ui_metadata import figure, note

_GALLERY = 5


@stage_asset(
    "evaluation",
    kinds={"keras", "numpy"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["bootstrap_resamples", "seed"],
    of_training_set=True,
)
def explanations(
    trained_model: StoredModel,
    image_arrays: Path,
    lesion_masks: Path,
    predictions: pd.DataFrame,
    calibrated_temperature: dict[str, Any],
) -> dg.MaterializeResult:
    """Where the model looked on test (Grad-CAM): how much of the heat lies on the lesion, and a gallery to look at.

    Compare with `centre`, which knows nothing but that lesions lie in the middle: on HAM10000 they do, so only what is
    above it (`..._over_centre`, paired, with interval) shows that the model finds lesions; `coarse_centre` is the same
    seen through the map's cells, 5 x 5 of them at 160 px, and `coarse_mask` the mask seen through them. In the
    galleries are the most confident right and wrong test pictures of each diagnosis, in pairs: with the lesion's
    outline, and under the heat of the *predicted* diagnosis. Heat on the lesion does not mean that the model looks at
    the right thing there, or that it is right.
    """
    chosen = settings()
    on_test = predictions[predictions["split"] == TEST].reset_index(drop=True)
    arrays, masks = ImageArrays.open(image_arrays), LesionMasks.open(lesion_masks)
    image_ids = on_test["image_id"].tolist()
    pixels = arrays.pixels.at(arrays.rows(image_ids))
    explained, probabilities = explain(
        trained_model.load(), pixels, masks.of(image_ids), on_test, calibrated_temperature["temperature"]
    )
    figures = picture_figures(explained)
    table = explanation_table(explained, figures, chosen.bootstrap_resamples, chosen.seed)
    of_all = table[(table["group"] == ALL) & (table["map"] == GRAD_CAM) & (table["of"] == PREDICTED)]
    galleries = {
        name: gallery_figure(
            explained,
            pixels,
            probabilities,
            gallery_rows(explained.labels, probabilities, explained.lesions, right, _GALLERY),
            _GALLERY,
        )
        for name, right in (("most_confident_right", True), ("most_confident_wrong", False))
    }
    estimated = masks.index.loc[masks.index["source"] == ESTIMATED, "image_id"]
    return dg.MaterializeResult(
        value=table,
        metadata={
            **{name: float(value) for name, value in zip(of_all["metric"], of_all["value"], strict=True)},
            "pictures": len(on_test),
            "with_estimated_mask": int(on_test["image_id"].isin(estimated).sum()),
            "without_lesion_in_mask": int(figures["mask_share"].isna().sum()),
            "by_diagnosis": figure(explanation_figure(table)),
            **{name: figure(drawing, photographs=True) for name, drawing in galleries.items()},
            "table": dg.MetadataValue.md(explanations_markdown(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )
