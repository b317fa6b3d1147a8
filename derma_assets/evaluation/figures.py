"""Figures of the evaluation: the confusion matrix and the metrics of each diagnosis with their intervals."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from derma_assets.diagnoses import CODES, DIAGNOSES


def confusion_figure(counts: pd.DataFrame) -> Figure:
    """Draw a confusion matrix: colour is the share of the true diagnosis (row), the text adds the count.

    Args:
        counts: 7 x 7 integers, index the truth, columns the prediction.
    """
    pictures = counts.to_numpy()
    shares = counts.div(counts.sum(axis=1).replace(0, np.nan), axis=0).to_numpy()
    drawing = Figure(figsize=(6, 5.2), layout="constrained")
    axes = drawing.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        text = "-" if np.isnan(share) else f"{share:.2f}\n{pictures[row, column]}"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if share > 0.5 else "black")
    axes.set_xticks(range(len(CODES)), counts.columns)
    axes.set_yticks(range(len(CODES)), counts.index)
    axes.set(xlabel="predicted", ylabel="true", title="Share of the true diagnosis, and pictures")
    drawing.colorbar(image, ax=axes, shrink=0.8)
    return drawing


def per_class_figure(table: pd.DataFrame, shown: tuple[str, ...] = ("recall", "f1")) -> Figure:
    """Draw metrics of each diagnosis as bars with their 95 % intervals.

    Args:
        table: As `tables.per_class_table` returns it.
        shown: Which metrics, one panel each.
    """
    drawing = Figure(figsize=(4.4 * len(shown), 3.6), layout="constrained")
    colours = [diagnosis.colour for diagnosis in DIAGNOSES]
    for axes, metric in zip(drawing.subplots(1, len(shown), squeeze=False, sharey=True)[0], shown, strict=True):
        rows = table[table["metric"] == metric].set_index("dx").loc[list(CODES)]
        axes.bar(rows.index, rows["value"], color=colours, alpha=0.75)
        # A percentile interval need not hold the value itself, so it is drawn by its ends, not around the value.
        axes.vlines(rows.index, rows["low"], rows["high"], color="#D55E00", linewidth=2)
        axes.set(ylim=(0, 1), title=metric)
        axes.set_xticks(
            range(len(rows)),
            [f"{code}\n{images}" for code, images in zip(CODES, rows["images"], strict=True)],
            fontsize=8,
        )
    drawing.supxlabel("diagnosis and number of pictures; lines are 95 % intervals over lesions", fontsize=8)
    return drawing
