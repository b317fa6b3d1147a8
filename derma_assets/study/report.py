"""The table of trials: gathered from their figures, shown as Markdown, and kept beside the code as CSV.

`python -m derma_assets.study.report` writes what is stored of all of HAM10000 to `trials.csv` and docs/study.md; with
`--missing` it prints the names of the trials that have not been run. What is not stored here but was committed of a
trial that is still defined so is kept: a study may be run on several machines.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from derma_assets.diagnoses import ACTINIC_KERATOSES
from derma_assets.errors import InputError, UserError
from derma_assets.evaluation.markdown import markdown, numbers
from derma_assets.release.layout import is_release
from derma_assets.settings import settings
from derma_assets.storage.paths import how_to_store
from derma_assets.storage.published import fetched_partition, fetched_path
from derma_assets.study.after_training import of_release
from derma_assets.study.trials import TRIALS
from derma_assets.study.validation_figures import VIEWS

COMMITTED = Path(__file__).with_name("trials.csv")
PROJECT = COMMITTED.parents[2]
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


def with_committed(rows: pd.DataFrame, committed: pd.DataFrame) -> pd.DataFrame:
    """Return `rows`, and in its place each committed row of a trial that was not run here and is defined as it was.

    Args:
        rows: As `study_rows` returns them.
        committed: The same, of earlier.
    """
    defined = {trial.name: trial.definition for trial in TRIALS.values()}
    still = committed["trial"].map(defined) == committed["definition"]
    kept = committed[still & ~committed["trial"].isin(rows["trial"])]
    both = pd.concat([rows, kept], ignore_index=True) if len(rows) else kept
    return both.sort_values("trial", key=lambda names: names.map(list(TRIALS).index), ignore_index=True)


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


def adjustment_markdown(figures: pd.DataFrame) -> str:
    """Return the trials after training for readers, one row for each strength and number of views.

    Args:
        figures: As `after_training.adjustment_table` returns them.
    """
    cells = figures.assign(text=[" ".join(numbers(row)) for _, row in figures.iterrows()])
    table = cells.pivot(index=["views", "strength"], columns="metric", values="text")[[*LABELS]]
    shown = table.rename(columns=LABELS).reset_index().astype({"views": str, "strength": str})
    return markdown(shown, right=("views", "strength"))


def _after_training(figures: pd.DataFrame) -> str:
    return f"""
## After training: views and logit adjustment

The released model on the same validation pictures, nothing trained anew. Adjusting its logits by the diagnoses' shares
in training moves it along one curve: what the rare diagnoses gain in recall, accuracy loses. Accuracy and macro F1 fall
with any strength above 0, and below 0 the rare diagnoses are lost, so the logits stay as they are. More views than four
gain nothing.

{adjustment_markdown(figures)}
"""


def study_page(rows: pd.DataFrame, after_training: pd.DataFrame | None = None) -> str:
    """Return docs/study.md.

    Args:
        rows: As `study_rows` returns them.
        after_training: As `after_training.of_release` returns it; None where there is no release.
    """
    page = f"""# Trials behind the default recipe

All of HAM10000, one split: trained on train, judged on validation (about 1,000 pictures), one idea at a time. Test was
not looked at. In brackets 95 % intervals over lesions; two trials on the same pictures differ by less than the
intervals suggest, yet a difference below 0.01 in accuracy is chance. `{COMMAND}`, from {rows["date"].min()} to
{rows["date"].max()}; minutes are of one core or two, which had other work too, so they tell no trial from another.

## Mean of four views

{study_markdown(rows, 4)}

## One view

{study_markdown(rows, 1)}
"""
    return page if after_training is None else page + _after_training(after_training)


def main(arguments: list[str] | None = None) -> int:
    """Write the table and the page from the stored study, and print the table."""
    try:
        chosen = settings()
        if "--missing" in (sys.argv[1:] if arguments is None else arguments):
            paths = {name: fetched_partition(chosen.store, "trial_figures", name, "table") for name in TRIALS}
            rows = study_rows({name: pd.read_parquet(path) for name, path in paths.items() if path.exists()})
            known = rows if chosen.is_synthetic else with_committed(rows, pd.read_csv(COMMITTED))
            print(*(name for name in TRIALS if name not in known["trial"].tolist()))
            return 0
        path = fetched_path(chosen.store, "study_table", "table")
        if not path.exists():
            raise InputError(how_to_store("study_table", path))
        rows = pd.read_parquet(path)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    if not chosen.is_synthetic:
        rows = with_committed(rows, pd.read_csv(COMMITTED))
    print(study_markdown(rows))
    if not chosen.is_synthetic:
        COMMITTED.write_text(rows.to_csv(index=False))
        page = PROJECT / "docs" / "study.md"
        # A study has a data folder of its own more often than a release of its own.
        folders = [folder for folder in (chosen.release, PROJECT / "data" / "release") if is_release(folder)]
        adjustments = of_release(folders[0], chosen.bootstrap_resamples, chosen.seed) if folders else None
        page.write_text(study_page(rows, adjustments))
        print(f"\nWritten to {COMMITTED} and {page}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
