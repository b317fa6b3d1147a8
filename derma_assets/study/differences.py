"""What each idea of the study gave: a trial's figures less those of the trial that it changes one thing of."""

from collections.abc import Mapping

import pandas as pd

from derma_assets.diagnoses import ACTINIC_KERATOSES
from derma_assets.evaluation.markdown import markdown
from derma_assets.study.rows import LABELS
from derma_assets.study.trials import TRIALS, Trial
from derma_assets.study.validation_figures import VIEWS

COMPARED = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "melanoma_roc_auc",
    "melanoma_sensitivity_at_95_specificity",
    f"recall_{ACTINIC_KERATOSES}",
)
# Standing alone they would look like figures of their own.
_SIGN = "+.3f"


def differences(rows: pd.DataFrame, views: int = VIEWS[-1], trials: Mapping[str, Trial] = TRIALS) -> pd.DataFrame:
    """Return one row for each trial that can be compared, in the order of `rows`.

    Two trials saw the same validation pictures, but which ones each got right is not kept, so a difference has no
    interval of its own.

    Args:
        rows: As `rows.study_rows` returns them.
        views: How many views were averaged.
        trials: The trials by name.

    Returns:
        Columns `trial`, `idea`, `compared_with`, `kept`, and each of `COMPARED`: the difference. A trial without a
        partner, or whose partner was not run, has no row.
    """
    figures = rows.set_index("trial")[[f"{metric}_{views}" for metric in COMPARED]]
    found = []
    for name in figures.index:
        trial = trials[name]
        if trial.compared_with not in figures.index:
            continue
        less = figures.loc[name] - figures.loc[trial.compared_with]
        found.append(
            {
                "trial": name,
                "idea": trial.idea,
                "compared_with": trial.compared_with,
                "kept": trial.kept,
                **dict(zip(COMPARED, less, strict=True)),
            }
        )
    return pd.DataFrame(found, columns=["trial", "idea", "compared_with", "kept", *COMPARED])


def differences_markdown(table: pd.DataFrame) -> str:
    """Return the table for readers.

    Args:
        table: As `differences` returns it.
    """
    shown = table[["trial", "idea", "compared_with"]].rename(columns={"compared_with": "compared with"})
    for metric in COMPARED:
        shown[LABELS[metric]] = [f"{value:{_SIGN}}" for value in table[metric]]
    return markdown(shown.assign(kept=table["kept"]), right=tuple(LABELS[metric] for metric in COMPARED))
