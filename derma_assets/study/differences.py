"""What each idea of the study gave: a trial's figures less those of the trial that it changes one thing of."""

from collections.abc import Mapping

import pandas as pd

from derma_assets.diagnoses import ACTINIC_KERATOSES
from derma_assets.evaluation.markdown import markdown
from derma_assets.study.rows import LABELS, still_defined
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
# Folds differ by their lesions, too, which trials on the same pictures do not: a rough measure, on the safe side.
CHANCE = (
    "Less than about twice the standard deviation between the five folds cannot be told from chance: accuracy and "
    "melanoma AUC 0.02, balanced accuracy and macro F1 0.04, melanoma sensitivity 0.08, actinic keratoses recall 0.18 "
    "(`make folds`, docs/cross_validation.md)."
)
_OTHER_PRECISION = "\\*"


def differences(rows: pd.DataFrame, views: int = VIEWS[-1], trials: Mapping[str, Trial] = TRIALS) -> pd.DataFrame:
    """Return one row for each trial that can be compared, in the order of `rows`.

    Two trials saw the same validation pictures, but which ones each got right is not kept, so a difference has no
    interval of its own.

    Args:
        rows: As `rows.study_rows` returns them.
        views: How many views were averaged.
        trials: The trials by name.

    Returns:
        Columns `trial`, `idea`, `compared_with`, `kept`, `same_precision`, and each of `COMPARED`: the difference. A
        trial that is not defined any more, has no partner, or whose partner was not run, has no row.
    """
    known = still_defined(rows, trials).set_index("trial")
    figures, precisions = known[[f"{metric}_{views}" for metric in COMPARED]], known["precision"].to_dict()
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
                "same_precision": precisions[name] == precisions[trial.compared_with],
                **dict(zip(COMPARED, less, strict=True)),
            }
        )
    return pd.DataFrame(found, columns=["trial", "idea", "compared_with", "kept", "same_precision", *COMPARED])


def differences_markdown(table: pd.DataFrame) -> str:
    """Return the table for readers, and below it what is needed to read it.

    Args:
        table: As `differences` returns it.
    """
    shown = table[["trial", "idea", "compared_with"]].rename(columns={"compared_with": "compared with"})
    shown["trial"] += ["" if same else f" {_OTHER_PRECISION}" for same in table["same_precision"]]
    for metric in COMPARED:
        shown[LABELS[metric]] = [f"{value:+.3f}" for value in table[metric]]
    text = markdown(shown.assign(kept=table["kept"]), right=tuple(LABELS[metric] for metric in COMPARED))
    notes = [CHANCE]
    if not table["same_precision"].all():
        notes.append(f"{_OTHER_PRECISION} Multiplied in another precision than its partner, which alone moves figures.")
    return "\n\n".join([text, *notes])
