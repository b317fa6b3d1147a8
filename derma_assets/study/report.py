"""The table of trials: gathered from their figures, shown as Markdown, and kept beside the code as CSV.

`python -m derma_assets.study.report` writes what is stored of all of HAM10000 to `trials.csv` and docs/study.md; with
`--missing` it prints the names of the trials that have not been run.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from derma_assets.diagnoses import ACTINIC_KERATOSES
from derma_assets.errors import InputError, UserError
from derma_assets.evaluation.markdown import markdown, numbers
from derma_assets.settings import settings
from derma_assets.storage.paths import how_to_store
from derma_assets.storage.published import fetched_partition, fetched_path
from derma_assets.study.trials import TRIALS
from derma_assets.study.validation_figures import VIEWS

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
    """Return one row for each trial that was run, in the order of `TRIALS`.

    Args:
        tables: By name of the trial, as the asset `trial_figures` is.

    Returns:
        Columns `trial`, `idea`, `pixels`, `layers`, `epochs`, `minutes`, `precision`, `date`, and for each number of
        views and metric `<metric>_<views>`, with `_low` and `_high`.
    """
    rows = []
    for name in (name for name in TRIALS if name in tables):
        trial, table = TRIALS[name], tables[name]
        first = table.iloc[0]
        row = {
            "trial": name,
            "idea": trial.idea,
            "pixels": trial.image_size,
            "layers": trial.trainable_layers,
            "epochs": int(first["epochs"]),
            "minutes": round(float(first["seconds"]) / 60, 1),
            "precision": first["precision"],
            "date": first["date"],
        }
        for views, metric, *values in table[["views", "metric", "value", "low", "high"]].itertuples(index=False):
            for ending, value in zip(("", "_low", "_high"), values, strict=True):
                row[f"{metric}_{views}{ending}"] = round(value, 4)
        rows.append(row)
    return pd.DataFrame(rows)


def study_markdown(rows: pd.DataFrame, views: int = VIEWS[-1]) -> str:
    """Return the table for readers, figures of the mean of `views` views with their intervals.

    Args:
        rows: As `study_rows` returns them.
        views: How many views were averaged.
    """
    shown = rows[["trial", "idea", "pixels", "layers", "epochs", "minutes"]].astype(str)
    for metric, label in LABELS.items():
        columns = {
            f"{metric}_{views}{ending}": name for ending, name in (("", "value"), ("_low", "low"), ("_high", "high"))
        }
        shown[label] = [" ".join(numbers(row)) for _, row in rows[[*columns]].rename(columns=columns).iterrows()]
    return markdown(shown, right=("pixels", "layers", "epochs", "minutes"))


def study_page(rows: pd.DataFrame) -> str:
    """Return docs/study.md."""
    return f"""# Trials behind the default recipe

All of HAM10000, one split: trained on train, judged on validation (about 1,000 pictures), one idea at a time. Test was
not looked at. In brackets 95 % intervals over lesions; two trials on the same pictures differ by less than the
intervals suggest, yet a difference below 0.01 in accuracy is chance. `{COMMAND}`, from {rows["date"].min()} to
{rows["date"].max()}; minutes are on two cores that had other work too.

## Mean of four views

{study_markdown(rows, 4)}

## One view

{study_markdown(rows, 1)}
"""


def main(arguments: list[str] | None = None) -> int:
    """Write the table and the page from the stored study, and print the table."""
    try:
        chosen = settings()
        if "--missing" in (sys.argv[1:] if arguments is None else arguments):
            figures = {name: fetched_partition(chosen.store, "trial_figures", name, "table") for name in TRIALS}
            print(*(name for name, path in figures.items() if not path.exists()))
            return 0
        path = fetched_path(chosen.store, "study_table", "table")
        if not path.exists():
            raise InputError(how_to_store("study_table", path))
        rows = pd.read_parquet(path)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    print(study_markdown(rows))
    if not chosen.is_synthetic:
        COMMITTED.write_text(rows.to_csv(index=False))
        page = COMMITTED.parents[2] / "docs" / "study.md"
        page.write_text(study_page(rows))
        print(f"\nWritten to {COMMITTED} and {page}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
