"""Figures of the evaluation: the confusion matrix, metrics with their intervals, and what was refused."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from derma_assets.diagnoses import CODES, DIAGNOSES
from derma_assets.evaluation.refusals import EXAMPLES, Judged


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


def subgroup_figure(table: pd.DataFrame) -> Figure:
    """Draw each metric of the subgroups as points with their 95 % intervals, one panel a metric.

    Args:
        table: As `subgroups.subgroup_table` returns it.
    """
    shown = table["metric"].unique()
    groups = table.drop_duplicates(["attribute", "group"])
    names = [f"{row['attribute']}: {row['group']} ({row['lesions']})" for _, row in groups.iterrows()]
    drawing = Figure(figsize=(1.9 * len(shown) + 2, 0.22 * len(names) + 1), layout="constrained")
    panels = drawing.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    for axes, metric in zip(panels, shown, strict=True):
        rows = table[table["metric"] == metric]
        axes.hlines(range(len(rows)), rows["low"], rows["high"], color="#56B4E9", linewidth=2)
        axes.plot(rows["value"], range(len(rows)), "o", color="#D55E00", markersize=4)
        axes.set(xlim=(-0.02, 1.02))
        axes.set_title(metric, fontsize=9)
        axes.grid(axis="x", color="#DDDDDD")
    panels[0].set_yticks(range(len(names)), names, fontsize=7)
    panels[0].invert_yaxis()
    drawing.supxlabel("in brackets the number of lesions; lines are 95 % intervals over lesions", fontsize=8)
    return drawing


def gaps_figure(table: pd.DataFrame) -> Figure:
    """Draw the gap between the best and the worst group of each attribute, one panel a metric; none: too few lesions.

    Args:
        table: As `subgroup_gaps.subgroup_gaps` returns it.
    """
    shown, attributes = table["metric"].unique(), list(table["attribute"].unique())
    drawing = Figure(figsize=(1.9 * len(shown) + 1, 0.5 * len(attributes) + 1), layout="constrained")
    panels = drawing.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    for axes, metric in zip(panels, shown, strict=True):
        rows = table[table["metric"] == metric]
        at = range(len(rows))
        axes.axvline(0, color="grey", linestyle=":")
        axes.hlines(at, rows["low"], rows["high"], color="#56B4E9", linewidth=2)
        axes.plot(rows["value"], at, "o", color="#D55E00", markersize=4)
        for row, (_, one) in zip(at, rows.iterrows(), strict=True):
            if one["groups"] > 1:
                ends = f"{one['lowest_group']} / {one['highest_group']}".replace("_", " ")
                axes.text(0.5, row - 0.15, ends, fontsize=6, ha="center", va="bottom", color="#444444")
        axes.set(xlim=(-0.3, 1.02))
        axes.set_title(metric, fontsize=9)
        axes.grid(axis="x", color="#DDDDDD")
    panels[0].set_yticks(range(len(attributes)), [name.replace("_", " ") for name in attributes])
    panels[0].set_ylim(len(attributes) - 0.5, -0.6)
    drawing.supxlabel("highest minus lowest group, named above it; lines are 95 % intervals over lesions", fontsize=8)
    return drawing


def view_figure(table: pd.DataFrame, shown: tuple[str, ...]) -> Figure:
    """Draw what averaging over more views gains over one view, with 95 % intervals, one panel a metric.

    Args:
        table: As `views.view_table` returns it.
        shown: Metrics with a gain in the table.
    """
    drawing = Figure(figsize=(3.2 * len(shown), 2.8), layout="constrained")
    for axes, metric in zip(drawing.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        rows = table[table["metric"] == f"{metric}_gain"]
        counts = rows["count"].astype(str)
        axes.axhline(0, color="grey", linestyle=":")
        axes.vlines(counts, rows["low"], rows["high"], color="#56B4E9", linewidth=2)
        axes.plot(counts, rows["value"], "o", color="#D55E00")
        axes.set(title=f"gain in {metric}", xlabel="views")
    return drawing


def refusals_figure(judged: Sequence[Judged]) -> Figure:
    """Draw the first pictures of each kind, one kind a row, with the reason above each that was refused.

    Args:
        judged: As `refusals.judge_kinds` yields them.
    """
    side = judged[0].examples.shape[1]
    gap = side // 4
    cell = side + gap
    sheet = np.full((len(judged) * cell, EXAMPLES * cell, 3), 255, np.uint8)
    drawing = Figure(figsize=(1.1 * EXAMPLES, 1.1 * len(judged)), layout="constrained")
    # One picture on one pair of axes: ninety pairs take Matplotlib seconds to draw.
    axes = drawing.subplots()
    for row, one in enumerate(judged):
        for column, (picture, reason) in enumerate(zip(one.examples, one.reasons, strict=False)):
            top, left = row * cell + gap, column * cell
            sheet[top : top + side, left : left + side] = picture
            colour = "black" if reason else "#0072B2"
            axes.text(left + side / 2, top - gap / 4, reason or "accepted", ha="center", fontsize=7, color=colour)
    axes.imshow(sheet)
    axes.set_yticks([row * cell + gap + side / 2 for row in range(len(judged))], [one.kind for one in judged])
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return drawing
