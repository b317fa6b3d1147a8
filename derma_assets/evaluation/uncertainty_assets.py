"""Assets of the stage `evaluation` about uncertainty: when not to answer, when to refer, what to believe."""

from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.calibration.operating_points import is_any_of
from derma_assets.diagnoses import MALIGNANT
from derma_assets.evaluation.class_calibration import class_bins, class_calibration_table
from derma_assets.evaluation.decision_curve import decision_curve_table, useful_range
from derma_assets.evaluation.selective import refusal_table, refusal_threshold, risk_coverage_table
from derma_assets.evaluation.uncertainty_figures import (
    class_calibration_figure,
    decision_curve_figure,
    risk_coverage_figure,
)
from derma_assets.evaluation.uncertainty_report import (
    class_calibration_markdown,
    decision_curve_markdown,
    refusal_of_uncertain_markdown,
    risk_coverage_markdown,
)
from derma_assets.settings import settings
from derma_assets.splits.grouped_splits import TEST, VALIDATION
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets.ui_metadata import figure, note


def _stage_table(*more_settings: str) -> Any:
    return stage_asset(
        "evaluation",
        kinds={"numpy"},
        io_manager_key="table",
        code_version="1",
        reads_settings=["bootstrap_resamples", "seed", *more_settings],
    )


@_stage_table()
def risk_coverage(predictions: pd.DataFrame, calibrated_temperature: dict[str, Any]) -> dg.MaterializeResult:
    """How often the model is wrong on test when it answers only the pictures it is most certain of.

    Read the curve from right to left: how fast the risk falls as the least certain pictures are refused. A flat curve
    means that its certainty says nothing. Three measures of certainty; the smaller the area, the better. `excess_aurc`
    is what is left to gain with the same diagnoses and a perfect measure.
    """
    chosen = settings()
    table = risk_coverage_table(
        labelled_logits(predictions, TEST),
        calibrated_temperature["temperature"],
        chosen.bootstrap_resamples,
        chosen.seed,
    )
    areas = table[table["metric"] == "aurc"]
    return dg.MaterializeResult(
        value=table,
        metadata={
            **{f"aurc_{row['certainty']}": float(row["value"]) for _, row in areas.iterrows()},
            "curve": figure(risk_coverage_figure(table)),
            "table": dg.MetadataValue.md(risk_coverage_markdown(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )


@_stage_table()
def uncertain_refusals(
    predictions: pd.DataFrame, calibrated_temperature: dict[str, Any], operating_points: dict[str, Any]
) -> dg.MaterializeResult:
    """What refusing the least certain tenth of the pictures buys on test, and whom it leaves without an answer.

    The threshold is that of the least certain tenth of validation; `refused` says how many it is on test. Gains are
    paired with their intervals. Look at who is refused: if it is the rare and the malignant, the gain is bought from
    those who need an answer most.
    """
    chosen = settings()
    temperature = calibrated_temperature["temperature"]
    threshold = refusal_threshold(labelled_logits(predictions, VALIDATION), temperature)
    table = refusal_table(
        labelled_logits(predictions, TEST),
        temperature,
        operating_points,
        threshold,
        chosen.bootstrap_resamples,
        chosen.seed,
    )
    values = table.set_index(["metric", "pictures"])["value"]
    return dg.MaterializeResult(
        value=table,
        metadata={
            "threshold": threshold,
            "refused": float(values["refused", "all"]),
            "accuracy_gain": float(values["accuracy", "gain"]),
            "table": dg.MetadataValue.md(refusal_of_uncertain_markdown(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )


@_stage_table("clinic_prevalence")
def decision_curve(
    predictions: pd.DataFrame, calibrated_temperature: dict[str, Any], operating_points: dict[str, Any]
) -> dg.MaterializeResult:
    """Net benefit on test of referring by the model, against referring everyone and no one.

    The threshold is the probability of malignancy at which a referral is worth its harm: at 5 % one would refer twenty
    to find one cancer. A model is of use where its curve lies above both others. A data set collects rare cases, so the
    second panel shifts probabilities and prevalence to a clinic's (`DERMA_CLINIC_PREVALENCE`). It assumes that
    malignant and benign lesions look there as they do here, which no data set can show.
    """
    chosen = settings()
    validation = labelled_logits(predictions, VALIDATION)
    table = decision_curve_table(
        labelled_logits(predictions, TEST),
        calibrated_temperature["temperature"],
        float(np.mean(is_any_of(validation.labels, MALIGNANT))),
        chosen.clinic_prevalence,
        chosen.bootstrap_resamples,
        chosen.seed,
    )
    useful = {setting: useful_range(table, setting) for setting in table["setting"].unique()}
    return dg.MaterializeResult(
        value=table,
        metadata={
            **{f"useful_in_{setting}": "nowhere" if not where else str(where) for setting, where in useful.items()},
            "curves": figure(decision_curve_figure(table, operating_points["referral"]["threshold"])),
            "table": dg.MetadataValue.md(decision_curve_markdown(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )


@_stage_table()
def class_calibration(predictions: pd.DataFrame, calibrated_temperature: dict[str, Any]) -> dg.MaterializeResult:
    """Whether the probability of each diagnosis can be believed, on test.

    One temperature for all seven calibrates the first diagnosis, not each of them. `slope` below 1: too extreme;
    `intercept` above 0 at a slope of 1: too low; `brier_skill` at or below 0: no better than always saying how common
    the diagnosis is. Rare diagnoses have wide intervals.
    """
    chosen = settings()
    test, temperature = labelled_logits(predictions, TEST), calibrated_temperature["temperature"]
    table = class_calibration_table(test, temperature, chosen.bootstrap_resamples, chosen.seed)
    of_ece = table[table["metric"] == "ece"]
    return dg.MaterializeResult(
        value=table,
        metadata={
            **{f"ece_{row['dx']}": float(row["value"]) for _, row in of_ece.iterrows()},
            "reliability": figure(class_calibration_figure(class_bins(test, temperature))),
            "table": dg.MetadataValue.md(class_calibration_markdown(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )
