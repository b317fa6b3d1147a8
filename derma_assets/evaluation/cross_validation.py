"""The figures of several folds as one table: what to expect of a model trained like this, and how much it varies."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.calibration.summary import choose_operating_points, temperature_document
from derma_assets.errors import InputError
from derma_assets.evaluation import tables
from derma_assets.splits.grouped_splits import TEST, VALIDATION


def fold_table(
    predictions: pd.DataFrame,
    melanoma_specificity: float,
    referral_sensitivity: float,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return the overall metrics and the recall of each diagnosis on the test side of one fold.

    Temperature and thresholds come from the fold's own validation side.

    Args:
        predictions: As the asset `predictions` is.
        melanoma_specificity: At which melanoma's threshold is set.
        referral_sensitivity: At which the referral threshold is set.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.

    Returns:
        Columns `metric`, `value`, `low`, `high`; of a diagnosis the metric is `recall_<dx>`.
    """
    validation, test = labelled_logits(predictions, VALIDATION), labelled_logits(predictions, TEST)
    temperature = temperature_document(validation)["temperature"]
    points: dict[str, Any] = {
        name: point.document()
        for name, point in choose_operating_points(
            validation, temperature, melanoma_specificity, referral_sensitivity
        ).items()
    }
    overall = tables.overall_table(test, temperature, points, resamples, seed)
    per_class = tables.per_class_table(test, temperature, resamples, seed)
    recall = per_class[per_class["metric"] == "recall"]
    recall = recall.assign(metric="recall_" + recall["dx"])
    return pd.concat([overall, recall[["metric", "value", "low", "high"]]], ignore_index=True)


def summary_table(folds: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return mean, standard deviation and range over folds of every figure.

    The folds' models share most of their training pictures, so the standard deviation says how much a figure varies
    between test sets rather than how sure the mean is (Bengio and Grandvalet, JMLR 5, 2004: it has no unbiased
    estimate).

    Args:
        folds: A table as `fold_table` returns it for each fold, at least two.

    Returns:
        Columns `metric`, `mean`, `sd` (n - 1), `lowest`, `highest`, `folds` (on how many it could be measured).

    Raises:
        InputError: there are fewer than two folds.
    """
    if len(folds) < 2:
        raise InputError(
            f"a summary needs at least two folds, {len(folds)} are stored: materialize fold_metrics of more."
        )
    together = pd.concat(folds.values(), ignore_index=True)
    of_metrics = together.groupby("metric", sort=False)["value"]
    return of_metrics.agg(mean="mean", sd="std", lowest="min", highest="max", folds="count").reset_index()
