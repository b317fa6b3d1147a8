"""The table of trials: gathered from their figures, shown as Markdown, and kept beside the code as CSV.

`python -m derma_assets.study.report` writes what is stored of all of HAM10000 to `trials.csv` and docs/study.md; with
`--missing` it prints the names of the trials that have not been run. What is not stored here but was committed of a
trial that is still defined so is kept: a study may be run on several machines.
"""

import sys

import pandas as pd

from derma_assets.errors import InputError, UserError
from derma_assets.evaluation.markdown import markdown, numbers
from derma_assets.release.layout import is_release
from derma_assets.settings import settings
from derma_assets.storage.paths import how_to_store
from derma_assets.storage.published import fetched_partition, fetched_path
from derma_assets.study.after_training import of_release
from derma_assets.study.differences import differences, differences_markdown
from derma_assets.study.rows import COMMAND, COMMITTED, LABELS, study_rows, with_committed
from derma_assets.study.trials import TRIALS
from derma_assets.study.validation_figures import VIEWS

PROJECT = COMMITTED.parents[2]


def study_markdown(rows: pd.DataFrame, views: int = VIEWS[-1]) -> str:
    """Return the table for readers, figures of the mean of `views` views with their intervals.

    Args:
        rows: As `study_rows` returns them.
        views: How many views were averaged.
    """
    shown = rows[["trial", "idea", "pixels", "layers", "epochs", "minutes", "precision"]].astype(str)
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
intervals suggest. `{COMMAND}`, from {rows["date"].min()} to
{rows["date"].max()}; minutes are of one core or two, which had other work too, so they tell no trial from another.
Precision `bfloat16_products` is what a processor with units for it chooses by itself.

## What each idea gave

How much the mean of four views changes against the trial that it is compared with, which differs in what the idea says;
some ideas change several things at once (`study/trials.py`).

{differences_markdown(differences(rows))}

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
