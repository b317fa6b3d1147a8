"""The tables of an external validation as Markdown and as a figure.

`python -m derma_assets.evaluation.external_report <name>` prints those of one data set that were stored last.
"""

import sys
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from derma_assets.errors import InputError, UserError
from derma_assets.evaluation.markdown import markdown, numbers, percent
from derma_assets.evaluation.report import LABELS
from derma_assets.storage.published import fetched_partition


def external_markdown(table: pd.DataFrame) -> str:
    """Return overall metrics, share refused, and metrics by class as Markdown.

    Args:
        table: As the asset `external_validation` holds it.
    """
    overall = [
        {"metric": LABELS.get(row["metric"], row["metric"]), "value": " ".join(numbers(row))}
        for _, row in table[table["section"] == "overall"].iterrows()
    ]
    for _, row in table[table["section"] == "refused"].iterrows():
        interval = f"({percent(row['low'])} to {percent(row['high'])})"
        overall.append({"metric": "Pictures that the app would refuse", "value": f"{percent(row['value'])} {interval}"})
    rows = []
    for name, of_class in table[table["section"] == "per_class"].groupby("class", sort=False):
        values = {LABELS[row["metric"]]: " ".join(numbers(row)) for _, row in of_class.iterrows()}
        first = of_class.iloc[0]
        rows.append({"class": name, "pictures": first["images"], "lesions": first["lesions"], **values})
    by_class = markdown(pd.DataFrame(rows).fillna(""), right=("pictures", "lesions"))
    return f"{markdown(pd.DataFrame(overall))}\n\n{by_class}"


def confusion_figure(table: pd.DataFrame) -> Figure:
    """Draw how often each class (row) was taken for which (column): colour is the share of the row.

    Args:
        table: As the asset `external_validation` holds it.
    """
    cells = table[table["section"] == "confusion"]
    counts = cells.pivot(index="class", columns="metric", values="value").fillna(0)
    names = [*counts.index, *(name for name in counts.columns if name not in counts.index)]
    counts = counts.reindex(columns=names, fill_value=0)
    shares = counts.div(counts.sum(axis=1), axis=0)
    drawing = Figure(figsize=(1.6 + 0.7 * len(counts.columns), 1.4 + 0.6 * len(counts)), layout="constrained")
    axes = drawing.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, name in enumerate(counts.index):
        for column, predicted in enumerate(counts.columns):
            share = shares.loc[name, predicted]
            text = f"{share:.2f}\n{int(counts.loc[name, predicted])}"
            axes.text(
                column, row, text, ha="center", va="center", fontsize=8, color="white" if share > 0.5 else "black"
            )
    axes.set_xticks(range(len(counts.columns)), counts.columns, rotation=30, ha="right")
    axes.set_yticks(range(len(counts)), counts.index)
    axes.set(xlabel="predicted", ylabel="true")
    return drawing


def stored_external_report(store: Path, name: str, note: str) -> str:
    """Return the report on one external data set stored below `store`, as Markdown.

    Raises:
        InputError: it has not been validated on yet.
    """
    path = fetched_partition(store, "external_validation", name, "table")
    if not path.exists():
        raise InputError(f"nothing is stored of {name} (looked for {path}): run make external NAME={name} first.")
    return f"# On {name}\n\n> {note}\n\n{external_markdown(pd.read_parquet(path))}\n"


def main(arguments: list[str] | None = None) -> int:
    """Print the report of the data set named by the first argument."""
    from derma_assets.settings import settings
    from derma_assets.ui_metadata import note

    (name,) = sys.argv[1:] if arguments is None else arguments
    try:
        print(stored_external_report(settings().store, name, str(note().value)))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
