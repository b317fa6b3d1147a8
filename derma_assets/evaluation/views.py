"""What averaging over flips and turns gains on one side of the split."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from derma_assets.calibration.reliability import expected_calibration_error
from derma_assets.calibration.summary import scored
from derma_assets.calibration.temperature import softmax
from derma_assets.calibration.views import of_views
from derma_assets.evaluation import metrics
from derma_assets.evaluation.bootstrap import with_intervals

# Those whose gain over one view is measured too, as `<metric>_gain`.
GAINS = ("accuracy", "balanced_accuracy", "melanoma_roc_auc")


def view_table(
    predictions: pd.DataFrame, considered: Sequence[Mapping[str, Any]], side: str, resamples: int, seed: int
) -> pd.DataFrame:
    """Return the metrics for each number of views: columns `count`, `metric`, `value`, `low`, `high`.

    A gain is the difference to one view on the same pictures; its interval resamples lesions and takes both
    metrics of each resample, so it is far narrower than the two intervals side by side suggest.

    Args:
        predictions: As the asset `view_predictions` has them.
        considered: `count`, `temperature` and `operating_points` of each number of views, the first of one.
        side: "validation" or "test".
        resamples: Number of resamples of lesions.
        seed: Of the resamples.
    """
    sides = {one["count"]: (of_views(predictions, one["count"], side), one) for one in considered}

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        of_one: dict[str, np.ndarray] = {}
        for count, (pictures, calibration) in sides.items():
            temperature = calibration["temperature"]
            probabilities, labels = softmax(pictures.logits, temperature), pictures.labels
            _, recall, f1 = metrics.precision_recall_f1(
                metrics.confusion(probabilities.argmax(axis=1), labels, weights)
            )
            values = {
                "accuracy": metrics.accuracy(probabilities, labels, weights),
                "balanced_accuracy": metrics.macro(recall),
                "macro_f1": metrics.macro(f1),
                "top_3_accuracy": metrics.top_k_accuracy(probabilities, labels, 3, weights),
                "melanoma_roc_auc": metrics.roc_auc(*scored(pictures, temperature, "melanoma"), weights),
                "ece_after": expected_calibration_error(probabilities, labels, weights),
            }
            for name, point in calibration["operating_points"].items():
                score, positive = scored(pictures, temperature, name)
                called = score >= point["threshold"]
                values[f"{name}_sensitivity"] = metrics.share(called, positive, weights)
                values[f"{name}_specificity"] = metrics.share(~called, ~positive, weights)
            of_one = of_one or values
            found |= {f"{count}/{metric}": value for metric, value in values.items()}
            if count > 1:
                found |= {f"{count}/{metric}_gain": values[metric] - of_one[metric] for metric in GAINS}
        return found

    (first, *_) = sides.values()
    table = with_intervals(statistics, first[0].lesions, resamples, seed)
    table[["count", "metric"]] = table["metric"].str.split("/", expand=True)
    return table.astype({"count": np.int64})[["count", "metric", "value", "low", "high"]]
