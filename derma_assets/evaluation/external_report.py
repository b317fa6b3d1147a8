"""The tables of an external validation as Markdown and as a figure."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from derma_assets.errors import InputError
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


def counted(table: pd.DataFrame) -> str:
    """Return in a line or two how many pictures were judged, and how many were not and why.

    Args:
        table: As the asset `external_validation` holds it.
    """
    judged = table[table["section"] == "refused"].iloc[0]
    said = f"Judged: {judged['images']:,} pictures of {judged['lesions']:,} lesions."
    left_out = table[table["section"] == "left_out"]
    if left_out.empty:
        return said
    reasons = "; ".join(f"{int(row['value']):,} {row['metric']}" for _, row in left_out.iterrows())
    return f"{said} Left out: {reasons}."


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


def stored_external_report(store: Path, asset: str, name: str, said: Sequence[str]) -> str:
    """Return the report on one external data set stored below `store`, as Markdown.

    Args:
        store: The store.
        asset: `external_validation` or `external_validation_of_release`.
        name: Of the data set.
        said: Paragraphs before the tables: which model was judged, and what a reader must know.

    Raises:
        InputError: it has not been validated on yet.
    """
    path = fetched_partition(store, asset, name, "table")
    if not path.exists():
        raise InputError(f"nothing is stored of {name} (looked for {path}): run make external NAME={name} first.")
    quoted = "\n>\n".join(f"> {paragraph}" for paragraph in said)
    table = pd.read_parquet(path)
    return f"# On {name}\n\n{quoted}\n\n{counted(table)}\n\n{external_markdown(table)}\n"
