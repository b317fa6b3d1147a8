"""The figures that a reader will look for: what the paper says, and what this project aims at on the same data."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from derma_assets.diagnoses import ACTINIC_KERATOSES
from derma_assets.evaluation.markdown import numbers
from derma_assets.evaluation.model_card.wording import row_of

RECALL_OF_KERATOSES, MODEL_SIZE = "recall_of_keratoses", "model_size"


@dataclass(frozen=True)
class Published:
    """A figure of "Derma Diagnostics", MobileNet on HAM10000.

    Attributes:
        name: What it is of.
        metric: Of `overall_metrics`, or one of the two above.
        value: As published.
        digits: After the point, as published.
        aimed: What is aimed at here, on lesions that were held out.
        smaller_is_better: Whether a lower figure is the better one.
    """

    name: str
    metric: str
    value: float
    digits: int
    aimed: float
    smaller_is_better: bool = False

    def reached(self, measured: float) -> bool:
        """Return whether a measured figure is at least as good as what is aimed at."""
        return measured <= self.aimed if self.smaller_is_better else measured >= self.aimed

    def outcome(self, measured: float, low: float | None = None, high: float | None = None) -> str:
        """Return `yes` or `no`, and if the aim is `inside the interval`: then the test set is too small to be sure.

        Args:
            measured: The figure.
            low: Of its 95 % interval, if it has one.
            high: Of the same.
        """
        reached = "yes" if self.reached(measured) else "no"
        inside = low is not None and high is not None and low <= self.aimed <= high
        return f"{reached}, inside the interval" if inside else reached

    def measured(self, tables: Mapping[str, pd.DataFrame]) -> pd.Series:
        """Return `value`, `low` and `high` of it; not of the model's size, which is no statistic.

        Args:
            tables: `overall_metrics` and `per_class_metrics`, by name.
        """
        if self.metric == RECALL_OF_KERATOSES:
            return row_of(tables["per_class_metrics"], dx=ACTINIC_KERATOSES, metric="recall")
        return row_of(tables["overall_metrics"], metric=self.metric)


# Quoted or wished for, not measured: the only numbers on the card that are not computed from the graph.
PUBLISHED = (
    Published("Accuracy", "accuracy", 0.820, 3, 0.85),
    Published("Top-3 accuracy", "top_3_accuracy", 0.979, 3, 0.985),
    Published("Macro F1", "macro_f1", 0.721, 3, 0.76),
    Published("Balanced accuracy", "balanced_accuracy", 0.75, 2, 0.78),
    Published("Melanoma ROC-AUC", "melanoma_roc_auc", 0.967, 3, 0.93),
    Published(
        "Melanoma sensitivity at 95 % specificity", "melanoma_sensitivity_at_95_specificity_on_test_roc", 0.90, 2, 0.75
    ),
    Published("Actinic keratoses, recall", RECALL_OF_KERATOSES, 0.27, 2, 0.60),
    Published("ECE after calibration", "ece_after", 0.043, 3, 0.02, smaller_is_better=True),
    Published("Model in the bundle, MB", MODEL_SIZE, 12.8, 1, 4.0, smaller_is_better=True),
)


def on_calibration(by_chance: pd.Series) -> str:
    """Return what the aimed calibration error means on so many pictures.

    Args:
        by_chance: As `calibration.summary.ece_by_chance` returns it.
    """
    (aim,) = (one.aimed for one in PUBLISHED if one.metric == "ece_after")
    return (
        f"An ECE of {aim:g} is asked of a test set on which a model whose probabilities are right would show "
        f"{' '.join(numbers(by_chance))}, by chance alone (mean and 95 % of draws of what the pictures are, each by "
        "itself)."
    )
