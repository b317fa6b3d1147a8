"""Assets of the stage `calibration`. Everything here is chosen on validation; test is not looked at."""

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from derma_assets.calibration.familiarity import fit_familiarity
from derma_assets.calibration.figures import likelihood_figure, measures_figure, reliability_figure, roc_figure
from derma_assets.calibration.input_guard import guard_with_limits, reasons_table, write_guard
from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.calibration.other_cameras import as_other_cameras
from derma_assets.calibration.summary import choose_operating_points, reliability_table, scored, temperature_document
from derma_assets.calibration.views import calibrate_views, views_document
from derma_assets.dataset.figures import arrays_figure
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.spread import spread_rows
from derma_assets.settings import settings
from derma_assets.splits.grouped_splits import TRAIN, VALIDATION
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_folder, fingerprint_json
from derma_assets.storage.paths import building_folder
from derma_assets.storage.stored_model import StoredModel
from derma_assets.training.backbones import BACKBONES
from derma_assets.training.classifier import architecture_of
from derma_assets.training.labelled_pictures import labelled_pictures
from derma_assets.training.predictor import feature_extractor
from derma_assets.ui_metadata import figure, note, table_preview

# Pictures that are changed at once: some hundred megabytes at 160 px.
_AT_ONCE = 1000
# Training pictures that say what is familiar: a Gaussian of some hundred dimensions needs no more.
_FAMILIAR = 20_000


@stage_asset("calibration", kinds={"scipy"}, io_manager_key="document", code_version="1")
def calibrated_temperature(predictions: pd.DataFrame) -> dg.MaterializeResult:
    """The number that the logits are divided by, so that 80 % confidence means right in 80 % of cases.

    Fitted on validation by minimising the negative log-likelihood (Guo et al., 2017). Above 1 the model was
    overconfident, below 1 underconfident. It changes no prediction, only how sure the app says it is. Read the
    reliability diagram: the closer the bars are to the diagonal, the more the shown percentages can be believed.
    """
    validation = labelled_logits(predictions, VALIDATION)
    document = temperature_document(validation)
    bins = reliability_table(validation, document["temperature"])
    return dg.MaterializeResult(
        value=document,
        metadata={
            **document,
            "likelihood": figure(likelihood_figure(validation.logits, validation.labels, document["temperature"])),
            "reliability_on_validation": figure(reliability_figure(bins)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_json(document)),
    )


@stage_asset(
    "calibration",
    kinds={"numpy"},
    io_manager_key="document",
    code_version="1",
    reads_settings=["melanoma_specificity", "referral_sensitivity"],
)
def operating_points(predictions: pd.DataFrame, calibrated_temperature: dict[str, Any]) -> dg.MaterializeResult:
    """The thresholds that the app calls by: melanoma at a set specificity, referral at a set sensitivity.

    A picture is called when its calibrated score is at or above the threshold. The score of melanoma is its
    probability, that of referral the summed probability of the malignant diagnoses. Sensitivity, specificity, PPV and
    the share of pictures referred are those on validation, where the thresholds were chosen, so they flatter;
    `overall_metrics` has them on test, with intervals.
    """
    chosen = settings()
    temperature = calibrated_temperature["temperature"]
    validation = labelled_logits(predictions, VALIDATION)
    points = choose_operating_points(validation, temperature, chosen.melanoma_specificity, chosen.referral_sensitivity)
    document = {name: point.document() for name, point in points.items()}
    table = pd.DataFrame(document).rename_axis("validation").reset_index()
    curves = {name: (*scored(validation, temperature, name), point) for name, point in points.items()}
    return dg.MaterializeResult(
        value=document,
        metadata={
            **{f"{name}_threshold": point.threshold for name, point in points.items()},
            **{f"{name}_sensitivity": point.sensitivity for name, point in points.items()},
            **{f"{name}_specificity": point.specificity for name, point in points.items()},
            "points": table_preview(table, rows=len(table)),
            "roc": figure(roc_figure(curves)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_json(document)),
    )


@stage_asset(
    "calibration",
    kinds={"numpy"},
    io_manager_key="document",
    code_version="1",
    reads_settings=["melanoma_specificity", "referral_sensitivity"],
)
def view_calibration(view_predictions: pd.DataFrame) -> dg.MaterializeResult:
    """Temperature and thresholds for each number of flips and turns that the app may average, one view first.

    A number that gains too little accuracy and melanoma ROC-AUC on validation over the last smaller one kept, or loses
    either, is left out: it would only take time. The app averages the largest number that its device manages within
    the time budget. `view_metrics` has the gain on test, with intervals.
    """
    chosen = settings()
    document = views_document(
        calibrate_views(view_predictions, chosen.melanoma_specificity, chosen.referral_sensitivity)
    )
    considered = pd.DataFrame(document["considered"]).drop(columns="operating_points")
    return dg.MaterializeResult(
        value=document,
        metadata={
            "most_views": int(document["views"][-1]["count"]),
            "considered": table_preview(considered, decimals=4),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_json(document)),
    )


@stage_asset(
    "calibration",
    kinds={"scikitlearn", "numpy"},
    io_manager_key="folder",
    code_version="3",
    of_training_set=True,
    reads_settings=["seed"],
)
def input_guard(trained_model: StoredModel, image_arrays: Path, training_set: pd.DataFrame) -> dg.MaterializeResult:
    """What keeps the app from judging pictures that the model was not made for: four measures, and limits on each.

    Light, focus and lesion contrast are measured on the pixels; unfamiliarity is the distance of the model's features
    from those of the training pictures, also as other cameras would take them. The limits together refuse about
    1 % of validation. Look at the refused pictures: they should be ones that a person would take again.
    `refusal_rates` has what is refused on test.
    """
    chosen, arrays = settings(), ImageArrays.open(image_arrays)
    train, validation = (
        labelled_pictures(arrays, training_set[training_set["split"] == side]).rows for side in (TRAIN, VALIDATION)
    )
    train = spread_rows(train, _FAMILIAR) if len(train) > _FAMILIAR else train
    model = trained_model.load()
    layer = BACKBONES[architecture_of(model)].middle
    features_of = feature_extractor(model, layer)
    draw = np.random.default_rng(chosen.seed)
    features = [features_of(arrays.pixels, train, "train")]
    for rows in np.array_split(train, max(1, len(train) // _AT_ONCE)):
        features.append(features_of(as_other_cameras(arrays.pixels[rows], draw), what="train, other cameras"))
    familiarity = fit_familiarity(np.concatenate(features), layer)
    pictures = arrays.pixels.at(validation)
    guard, values = guard_with_limits(familiarity, pictures, features_of(pictures, what="validation"))
    refused = guard.refusals(values)
    with building_folder(chosen.store, "input_guard") as folder:
        write_guard(folder, guard)
    return dg.MaterializeResult(
        value=folder,
        metadata={
            "validation_pictures": len(pictures),
            "refused_of_validation": float((refused != "").mean()),
            "limits": table_preview(pd.DataFrame(guard.document()["measures"])),
            "reasons": table_preview(reasons_table(refused)),
            "measures": figure(measures_figure(values, guard)),
            "refused": figure(arrays_figure(pictures.at(np.flatnonzero(refused != ""))))
            if (refused != "").any()
            else "none",
            "components": len(familiarity.components),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_folder(folder)),
    )
