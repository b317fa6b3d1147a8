"""Assets of the stage `evaluation`: everything on test, which nothing was chosen on."""

from typing import Any

import dagster as dg
import pandas as pd

from derma_assets.calibration.figures import reliability_figure
from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.evaluation import tables
from derma_assets.evaluation.figures import confusion_figure, per_class_figure
from derma_assets.evaluation.report import overall_markdown, per_class_markdown
from derma_assets.settings import settings
from derma_assets.splits.grouped_splits import TEST
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_table
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
