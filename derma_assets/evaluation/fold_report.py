"""Cross-validation for readers: what `make folds` prints, and the page and table it writes of all of HAM10000.

`python -m derma_assets.evaluation.fold_report` reads what is stored; nothing is trained.
"""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from derma_assets.diagnoses import ACTINIC_KERATOSES, CODES, DISCLAIMER
from derma_assets.errors import InputError, told_to_the_user
from derma_assets.evaluation.cross_validation import summary_table
from derma_assets.evaluation.markdown import markdown, numbers, three
from derma_assets.evaluation.report import LABELS
from derma_assets.settings import DATASET_DEFAULTS, Settings, settings
from derma_assets.storage.paths import how_to_store
from derma_assets.storage.published import fetched_partitions, fetched_path
from derma_assets.training.recipe import named_recipe

_DOCS = Path(__file__).parents[2] / "docs"
PAGE, TABLE = _DOCS / "cross_validation.md", _DOCS / "cross_validation.csv"
# What the page shows of each fold; the table beside it has every figure.
HEADLINES = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "top_3_accuracy",
    "melanoma_roc_auc",
    "melanoma_sensitivity_at_95_specificity_on_test_roc",
    f"recall_{ACTINIC_KERATOSES}",
    "ece_after",
)
# A setting that decides what a fold's model is, by the name under which the page shows it.
_DECIDING = {
    "recipe": "Recipe",
    "image_size": "Side of the picture, px",
    "trainable_layers": "Layers that learn",
    "backbone": "Network",
    "alpha": "Its width",
    "folds": "Folds",
    "seed": "Seed",
}


def label(metric: str) -> str:
    """Return what a reader is shown in place of a figure's name."""
    recalled = metric.removeprefix("recall_")
    return f"Recall of {recalled}" if recalled in CODES else LABELS.get(metric, metric.replace("_", " "))


def summary_markdown(summary: pd.DataFrame) -> str:
    """Return mean, standard deviation and range of every figure for readers.

    Args:
        summary: As `cross_validation.summary_table` returns it.
    """
    shown = pd.DataFrame(
        {
            "metric": summary["metric"].map(label),
            "mean": summary["mean"].map(three),
            "standard deviation": summary["sd"].map(three),
            "lowest": summary["lowest"].map(three),
            "highest": summary["highest"].map(three),
            "folds": summary["folds"].astype(int).astype(str),
        }
    )
    return markdown(shown, right=("mean", "standard deviation", "lowest", "highest", "folds"))


def headlines_markdown(folds: Mapping[str, pd.DataFrame]) -> str:
    """Return the most important figures of each fold for readers, with their intervals over its lesions.

    Args:
        folds: As `cross_validation.fold_table` returns them, by fold.
    """
    rows = []
    for fold, table in folds.items():
        said = {row["metric"]: " ".join(numbers(row)) for _, row in table.iterrows()}
        rows.append({"fold": fold} | {label(name): said[name] for name in HEADLINES})
    return markdown(pd.DataFrame(rows))


def page(folds: Mapping[str, pd.DataFrame], chosen: Settings, date: str) -> str:
    """Return docs/cross_validation.md.

    Args:
        folds: As `cross_validation.fold_table` returns them, by fold.
        chosen: What the folds were trained with.
        date: Of the page, as `2026-01-31`.
    """
    values = {shown: f"{getattr(chosen, name)}" for name, shown in _DECIDING.items()}
    if chosen.trainable_layers is None:
        values[_DECIDING["trainable_layers"]] = "all"
    values["Epochs"] = str(named_recipe(chosen.recipe, chosen.epochs).epochs)
    rows = {"Command": f"`{_command(chosen)}`", "Date": date, **values}
    table = markdown(pd.DataFrame({"": rows.keys(), " ": rows.values()}))
    return f"""# Cross-validation on HAM10000

> {DISCLAIMER}

{table}

A model for each fold, trained without the fold's lesions and tested on them. Temperature and thresholds come from
lesions that are in neither. One view of each picture. Nothing was chosen by these figures: what is test here is
training for the released model. All figures of all folds are in [cross_validation.csv](cross_validation.csv).

## Mean and standard deviation

The standard deviation is between folds: it says how far one test set differs from another, with training anew, not how
well the mean is known.

{summary_markdown(summary_table(folds))}

## Fold by fold

In brackets 95 % intervals, by resampling the fold's lesions.

{headlines_markdown(folds)}
"""


def _command(chosen: Settings) -> str:
    """Return the command that trains the folds so, with the settings that are not the data set's own."""
    usual = Settings.model_construct(**DATASET_DEFAULTS[chosen.dataset])
    names = ("recipe", "epochs", "image_size", "backbone", "trainable_layers", "alpha", "seed")
    changed = [name for name in names if getattr(chosen, name) != getattr(usual, name)]
    words = [f"DERMA_{name.upper()}={getattr(chosen, name)}" for name in changed]
    return " ".join([*words, f"make folds DERMA_DATASET={chosen.dataset}"])


@told_to_the_user
def main() -> None:
    """Print the summary, and of real data write the page and the table."""
    chosen = settings()
    summary = fetched_path(chosen.store, "cross_validation_summary", "table")
    if not summary.exists():
        raise InputError(how_to_store("cross_validation_summary", summary))
    stored = fetched_partitions(chosen.store, "fold_metrics", "table")
    folds = {name: pd.read_parquet(path) for name, path in sorted(stored.items())}
    print(summary_markdown(pd.read_parquet(summary)))
    if chosen.is_synthetic:
        return
    PAGE.write_text(page(folds, chosen, datetime.now(UTC).date().isoformat()))
    rows = pd.concat([table.assign(fold=name) for name, table in folds.items()], ignore_index=True)
    rows[["fold", "metric", "value", "low", "high"]].round(4).to_csv(TABLE, index=False)
    print(f"\nWritten to {PAGE} and {TABLE}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
