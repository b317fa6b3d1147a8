"""The rows of trials: gathered from their figures, and kept beside the code as CSV."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from derma_assets.diagnoses import ACTINIC_KERATOSES
from derma_assets.study.trials import TRIALS, Trial

COMMITTED = Path(__file__).with_name("trials.csv")
COMMAND = "make study DERMA_DATASET=ham10000"

LABELS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "top_3_accuracy": "top-3",
    "melanoma_roc_auc": "melanoma AUC",
    "melanoma_sensitivity_at_95_specificity": "melanoma sens. at 95 % spec.",
    f"recall_{ACTINIC_KERATOSES}": "actinic keratoses recall",
    "nll": "NLL",
}


def study_rows(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row for each trial that was run as it is defined now, in the order of `TRIALS`.

    Args:
        tables: By name of the trial, as the asset `trial_figures` is.

    Returns:
        Columns `trial`, `idea`, `pixels`, `layers`, `epochs`, `minutes`, `precision`, `date`, `definition`, and for
        each number of views and metric `<metric>_<views>`, with `_low` and `_high`.
    """
    rows = []
    for name in (name for name in TRIALS if name in tables):
        trial, table = TRIALS[name], tables[name]
        first = table.iloc[0]
        if first["definition"] != trial.definition:
            continue
        row = {
            "trial": name,
            "idea": trial.idea,
            "pixels": trial.image_size,
            "layers": trial.trainable_layers,
            "epochs": int(first["epochs"]),
            "minutes": round(float(first["seconds"]) / 60, 1),
            "precision": first["precision"],
            "date": first["date"],
            "definition": first["definition"],
        }
        for views, metric, *values in table[["views", "metric", "value", "low", "high"]].itertuples(index=False):
            for ending, value in zip(("", "_low", "_high"), values, strict=True):
                row[f"{metric}_{views}{ending}"] = round(value, 4)
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else ["trial", "definition"])


def still_defined(rows: pd.DataFrame, trials: Mapping[str, Trial] = TRIALS) -> pd.DataFrame:
    """Return the rows of those trials that are defined now as they were when they were run."""
    return rows[rows["trial"].map({trial.name: trial.definition for trial in trials.values()}) == rows["definition"]]


def with_committed(rows: pd.DataFrame, committed: pd.DataFrame) -> pd.DataFrame:
    """Return `rows`, and in its place each committed row of a trial that was not run here and is defined as it was.

    Args:
        rows: As `study_rows` returns them.
        committed: The same, of earlier.
    """
    still = still_defined(committed)
    kept = still[~still["trial"].isin(rows["trial"])]
    both = pd.concat([rows, kept], ignore_index=True) if len(rows) else kept
    return both.sort_values("trial", key=lambda names: names.map(list(TRIALS).index), ignore_index=True)
