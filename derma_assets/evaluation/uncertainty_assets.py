"""Assets of the stage `evaluation` about what the model's probabilities are worth; all are measured on test."""

from typing import Any

import dagster as dg
import pandas as pd

from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.evaluation import selective
from derma_assets.evaluation.class_calibration import class_calibration_table
from derma_assets.evaluation.decision_curve import POPULATIONS, decision_table, useful_range
from derma_assets.evaluation.uncertainty_figures import class_calibration_figure, decision_figure, risk_coverage_figure
from derma_assets.evaluation.uncertainty_report import (
    class_calibration_markdown,
    decision_markdown,
    selective_markdown,
)
from derma_assets.settings import settings
from derma_assets.splits.grouped_splits import TEST, VALIDATION
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets.ui_metadata import figure, note


@stage_asset(
    "evaluation",
    kinds={"numpy"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["bootstrap_resamples", "seed"],
)
def risk_coverage(
    predictions: pd.DataFrame, calibrated_temperature: dict[str, Any], operating_points: dict[str, Any]
) -> dg.MaterializeResult:
    """How often the model errs when it may refuse the pictures it is least sure of, and what refusing a tenth buys.

    The curve goes from answering few pictures (left) to all (right); the further it falls to the left, the better the
    model knows when it is wrong. The threshold that refuses a tenth comes from validation. Read `difference`, with its
    interval over lesions, and the last rows: a malignant lesion that the model is sure is benign is not refused, so
    refusing by confidence does not find it.
    """
    chosen = settings()
    table = selective.selective_table(
        labelled_logits(predictions, VALIDATION),
        labelled_logits(predictions, TEST),
        calibrated_temperature["temperature"],
        operating_points,
        chosen.bootstrap_resamples,
        chosen.seed,
    )
    of_chosen = table[table["confidence"] == selective.CHOSEN]
    shown = of_chosen[of_chosen["part"].isin([selective.AREA, selective.REFUSAL])]
    return dg.MaterializeResult(
        value=table,
        metadata={
            **{
                "_".join(filter(None, (row["metric"], row["name"]))): float(row["value"])
                for _, row in shown[shown["name"] != "before"].iterrows()
            },
            "curve": figure(risk_coverage_figure(table)),
            "refusing_a_tenth": dg.MetadataValue.md(selective_markdown(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )


@stage_asset(
    "evaluation",
    kinds={"numpy"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["bootstrap_resamples", "seed", "clinic_prevalence"],
)
def decision_curve(
    predictions: pd.DataFrame, calibrated_temperature: dict[str, Any], operating_points: dict[str, Any]
) -> dg.MaterializeResult:
    """The net benefit of referring by the model, against referring everyone and no one, on test (Vickers and Elkin).

    The threshold is the risk from which on one would refer: at 5 % a missed malignant lesion weighs as much as 19
    needless referrals. The model helps where its line is above both others. HAM10000 has about ten times the malignant
    lesions of a clinic, so the right panel weights malignant and benign pictures to `DERMA_CLINIC_PREVALENCE`, with the
    probabilities as they are and corrected for it. That takes for granted that the lesions of a clinic look like
    HAM10000's, most of which someone thought worth excising or following up: a what-if, no measurement in a clinic.
    """
    chosen = settings()
    table = decision_table(
        labelled_logits(predictions, VALIDATION),
        labelled_logits(predictions, TEST),
        calibrated_temperature["temperature"],
        chosen.clinic_prevalence,
        operating_points["referral"]["threshold"],
        chosen.bootstrap_resamples,
        chosen.seed,
    )
    ranges = {population: useful_range(table, population) for population in POPULATIONS}
    return dg.MaterializeResult(
        value=table,
        metadata={
            "referral_threshold": float(operating_points["referral"]["threshold"]),
            "clinic_prevalence": chosen.clinic_prevalence,
            **{
                f"better_than_all_and_none_{population}": f"{found[0]:.3f} to {found[1]:.3f}" if found else "nowhere"
                for population, found in ranges.items()
            },
            "curve": figure(decision_figure(table, chosen.clinic_prevalence)),
            "table": dg.MetadataValue.md(decision_markdown(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )


@stage_asset(
    "evaluation",
    kinds={"numpy", "scipy"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["bootstrap_resamples", "seed"],
)
def class_calibration(predictions: pd.DataFrame, calibrated_temperature: dict[str, Any]) -> dg.MaterializeResult:
    """How far the probability of each diagnosis can be believed on test, each against all others.

    In the diagrams a point above the diagonal means that the diagnosis is commoner than its probability says. An
    intercept above 0 says the same of all pictures together, a slope below 1 that high probabilities are too high and
    low ones too low. Brier skill below 0 is worse than always saying the share of the diagnosis. With few lesions the
    intervals are wide, and a calibration error is above 0 even for probabilities that are right.
    """
    chosen = settings()
    test = labelled_logits(predictions, TEST)
    table = class_calibration_table(
        test, calibrated_temperature["temperature"], chosen.bootstrap_resamples, chosen.seed
    )
    shown = table[table["metric"].isin(["ece", "slope"])]
    return dg.MaterializeResult(
        value=table,
        metadata={
            **{f"{row['metric']}_{row['dx']}": float(row["value"]) for _, row in shown.iterrows()},
            "diagrams": figure(class_calibration_figure(table)),
            "table": dg.MetadataValue.md(class_calibration_markdown(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_table(table)),
    )
