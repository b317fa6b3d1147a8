"""What a trial is judged by: figures on validation pictures, with intervals over lesions. Test is never looked at."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from derma_assets.calibration.reliability import nll
from derma_assets.calibration.summary import scored, temperature_document
from derma_assets.calibration.temperature import softmax
from derma_assets.calibration.views import of_views
from derma_assets.diagnoses import ACTINIC_KERATOSES, CODES
from derma_assets.evaluation import metrics
from derma_assets.evaluation.bootstrap import with_intervals
from derma_assets.evaluation.tables import LITERATURE_SPECIFICITY
from derma_assets.splits.grouped_splits import VALIDATION

VIEWS = (1, 4)


def validation_table(
    predictions: pd.DataFrame, resamples: int, seed: int, views: Sequence[int] = VIEWS
) -> pd.DataFrame:
    """Return the figures for one view and for the mean of several: columns `views`, `metric`, `value`, `low`, `high`.

    The temperature of `nll` is fitted on the same pictures: it says how well the logits order and space the classes,
    whatever their scale.

    Args:
        predictions: As the asset `view_predictions` is; only its validation pictures are read.
        resamples: Number of resamples of lesions.
        seed: Of the resamples.
        views: Numbers of views.
    """
    sides = {count: of_views(predictions, count, VALIDATION) for count in views}

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for count, side in sides.items():
            temperature = temperature_document(side)["temperature"]
            probabilities, labels = softmax(side.logits, temperature), side.labels
            _, recall, f1 = metrics.precision_recall_f1(
                metrics.confusion(probabilities.argmax(axis=1), labels, weights)
            )
            melanoma = scored(side, temperature, "melanoma")
            values = {
                "accuracy": metrics.accuracy(probabilities, labels, weights),
                "balanced_accuracy": metrics.macro(recall),
                "macro_f1": metrics.macro(f1),
                "top_3_accuracy": metrics.top_k_accuracy(probabilities, labels, 3, weights),
                "melanoma_roc_auc": metrics.roc_auc(*melanoma, weights),
                "melanoma_sensitivity_at_95_specificity": metrics.sensitivity_at_specificity(
                    *melanoma, LITERATURE_SPECIFICITY, weights
                ),
                f"recall_{ACTINIC_KERATOSES}": recall[:, CODES.index(ACTINIC_KERATOSES)],
                "nll": nll(probabilities, labels, weights),
            }
            found |= {f"{count}/{metric}": value for metric, value in values.items()}
        return found

    table = with_intervals(statistics, next(iter(sides.values())).lesions, resamples, seed)
    table[["views", "metric"]] = table["metric"].str.split("/", expand=True)
    return table.astype({"views": np.int64})[["views", "metric", "value", "low", "high"]]
