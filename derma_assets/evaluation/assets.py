"""Assets of the stage `evaluation`: everything on test, which nothing was chosen on."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from derma_assets.calibration.figures import reliability_figure
from derma_assets.calibration.input_guard import read_guard
from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.evaluation import tables
from derma_assets.evaluation.figures import (
    confusion_figure,
    per_class_figure,
    refusals_figure,
    view_figure,
)
from derma_assets.evaluation.refusals import judge_kinds, refusal_table
from derma_assets.evaluation.report import (
    overall_markdown,
    per_class_markdown,
    refusals_markdown,
    views_markdown,
)
from derma_assets.evaluation.views import GAINS, view_table
from derma_assets.settings import settings
from derma_assets.splits.grouped_splits import TEST
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets.storage.stored_model import StoredModel
from derma_assets.training.labelled_pictures import labelled_pictures
from derma_assets.training.predictor import feature_extractor
from derma_assets.ui_metadata import figure, note, table_preview


@stage_asset(
    "evaluation",
    kinds={"numpy"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["bootstrap_resamples", "seed"],
)
def overall_metrics(
    predictions: pd.DataFrame, calibrated_temperature: dict[str, Any], operating_points: dict[str, Any]
) -> dg.MaterializeResult:
    """The paper's main table: every metric of the model on test, with its 95 % interval.

    Intervals resample lesions, not pictures. Balanced accuracy and macro F1 count every diagnosis alike; accuracy
    mostly counts nevi. The sensitivities and specificities at the operating point are what a clinic gets, since the
    thresholds come from validation; melanoma's sensitivity read off the test ROC at 95 % specificity is there to
    compare with papers.
    """
    chosen = settings()
    test = labelled_logits(predictions, TEST)
    table = tables.overall_table(
        test, calibrated_temperature["temperature"], operating_points, chosen.bootstrap_resamples, chosen.seed
    )
    return dg.MaterializeResult(
        value=table,
        metadata={
            **dict(zip(table["metric"], table["value"], strict=True)),
            "images": len(test.labels),
            "lesions": int(test.lesions.max()) + 1,
            "resamples": chosen.bootstrap_resamples,
            "table": dg.MetadataValue.md(overall_markdown(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )


@stage_asset(
    "evaluation",
    kinds={"numpy"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["bootstrap_resamples", "seed"],
)
def per_class_metrics(predictions: pd.DataFrame, calibrated_temperature: dict[str, Any]) -> dg.MaterializeResult:
    """Precision, recall, F1, ROC-AUC and PR-AUC of each diagnosis on test, with 95 % intervals and support.

    Recall of melanoma here is that of the most probable diagnosis, not of the operating point. PR-AUC is average
    precision; compare it with the share of the diagnosis, which is what chance gets. A wide interval means few lesions:
    look at the support before believing a difference.
    """
    chosen = settings()
    test = labelled_logits(predictions, TEST)
    table = tables.per_class_table(test, calibrated_temperature["temperature"], chosen.bootstrap_resamples, chosen.seed)
    recall = table[table["metric"] == "recall"]
    return dg.MaterializeResult(
        value=table,
        metadata={
            **{f"recall_{dx}": value for dx, value in zip(recall["dx"], recall["value"], strict=True)},
            "table": dg.MetadataValue.md(per_class_markdown(table)),
            "recall_and_f1": figure(per_class_figure(table)),
            "areas": figure(per_class_figure(table, ("roc_auc", "pr_auc"))),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )


@stage_asset("evaluation", kinds={"pandas"}, io_manager_key="table", code_version="1")
def confusion_matrix(predictions: pd.DataFrame) -> dg.MaterializeResult:
    """How many test pictures of each diagnosis (rows) were predicted as which (columns).

    Read a row: where the pictures of a diagnosis went. A melanoma in the column of nevi is the costliest mistake here.
    """
    table = tables.confusion_table(labelled_logits(predictions, TEST))
    return dg.MaterializeResult(
        value=table,
        metadata={
            "images": int(table.to_numpy().sum()),
            "correct": int(table.to_numpy().trace()),
            "figure": figure(confusion_figure(table)),
            "table": table_preview(table.reset_index()),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )


@stage_asset(
    "evaluation",
    kinds={"numpy"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["bootstrap_resamples", "seed"],
)
def reliability(predictions: pd.DataFrame, calibrated_temperature: dict[str, Any]) -> dg.MaterializeResult:
    """How often the model is right at each level of confidence on test, before and after calibration.

    Fifteen bins of confidence. Bars below the diagonal mean that the model is surer than it should be. The numbers at
    the bottom are pictures; a bin of few pictures says little, as its interval shows.
    """
    chosen = settings()
    table = tables.reliability_with_intervals(
        labelled_logits(predictions, TEST),
        calibrated_temperature["temperature"],
        chosen.bootstrap_resamples,
        chosen.seed,
    )
    return dg.MaterializeResult(
        value=table,
        metadata={
            **{f"ece_{name}": gap for name, gap in tables.calibration_gaps(table).items()},
            "diagram": figure(reliability_figure(table)),
            "table": table_preview(table, rows=len(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )


@stage_asset(
    "evaluation",
    kinds={"numpy"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["bootstrap_resamples", "seed"],
)
def view_metrics(view_predictions: pd.DataFrame, view_calibration: dict[str, Any]) -> dg.MaterializeResult:
    """What averaging over flips and turns of a picture gains on test, for each number of them.

    Each number has its own temperature and thresholds from validation. Read the gains over one view: both are of the
    same pictures, so their intervals say whether it helps; those of the metrics themselves are wider.
    """
    chosen = settings()
    table = view_table(view_predictions, view_calibration["considered"], TEST, chosen.bootstrap_resamples, chosen.seed)
    most = table[table["count"] == table["count"].max()].set_index("metric")["value"]
    return dg.MaterializeResult(
        value=table,
        metadata={
            **{f"{metric}_gain": float(most[f"{metric}_gain"]) for metric in GAINS},
            "gains": figure(view_figure(table, GAINS)),
            "table": dg.MetadataValue.md(views_markdown(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )


@stage_asset(
    "evaluation",
    kinds={"scikitimage", "numpy"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["seed"],
    of_training_set=True,
)
def refusal_rates(
    input_guard: Path, trained_model: StoredModel, image_arrays: Path, training_set: pd.DataFrame
) -> dg.MaterializeResult:
    """How many good test pictures are refused, how many bad ones of eight kinds, and for which reason.

    Of `good` as few as possible, of the others as many. The bad ones are made of the test pictures (blurred, dark,
    bright, bare skin) or show something else (noise, text, landscapes, a cat). The limits are those of good validation
    pictures, but what is measured was developed with such bad ones in view, so these shares flatter. Look at the
    examples: is what was accepted fit to be judged?
    """
    arrays, guard = ImageArrays.open(image_arrays), read_guard(input_guard)
    test = labelled_pictures(arrays, training_set[training_set["split"] == TEST])
    features_of = feature_extractor(trained_model.load(), guard.familiarity.layer)
    judged = list(judge_kinds(guard, features_of, arrays.pixels.at(test.rows), settings().seed))
    table = refusal_table(judged, lesions=test.pictures["lesion_id"].nunique())
    return dg.MaterializeResult(
        value=table,
        metadata={
            **{f"{row['kind']}_refused": float(row["share"]) for _, row in table.iterrows()},
            "examples": figure(refusals_figure(judged)),
            "table": dg.MetadataValue.md(refusals_markdown(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )
