"""Figures of a split: the mix of diagnoses on each side, and pictures that look alike across sides."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from derma_assets.dataset.preprocessing import open_picture
from derma_assets.diagnoses import DIAGNOSES
from derma_assets.splits.grouped_splits import SIDES

MOST_PAIRS_SHOWN = 10


def class_shares_figure(shares: pd.DataFrame) -> Figure:
    """Draw, for each side, the share of each diagnosis among its lesions, beside the share among all lesions.

    Args:
        shares: `split`, `dx`, `share` and `share_of_all`, as `split_quality.class_shares` returns them.
    """
    drawing = Figure(figsize=(7, 3.2), layout="constrained")
    axes = drawing.subplots()
    names = ["all", *SIDES]
    of_all = shares.drop_duplicates("dx").set_index("dx")["share_of_all"]
    by_side = shares.pivot(index="dx", columns="split", values="share")
    left = np.zeros(len(names))
    for diagnosis in DIAGNOSES:
        width = np.array([of_all[diagnosis.code], *(by_side.loc[diagnosis.code, side] for side in SIDES)], dtype=float)
        axes.barh(names, width, left=left, color=diagnosis.colour, label=diagnosis.code, edgecolor="white")
        left = left + width
    axes.invert_yaxis()
    axes.set(xlabel="share of lesions", xlim=(0, 1), title="Mix of diagnoses by side")
    axes.legend(ncols=len(DIAGNOSES), loc="upper center", bbox_to_anchor=(0.5, -0.18), frameon=False, fontsize=8)
    return drawing


def look_alikes_figure(pairs: pd.DataFrame, path_of: dict[str, str]) -> Figure:
    """Draw the first pairs of near-duplicate pictures, one pair a column.

    Args:
        pairs: As `leakage.near_duplicates_across_sides` returns them, worst first; `MOST_PAIRS_SHOWN` are drawn.
        path_of: Path of each picture by `image_id`.
    """
    shown = pairs.head(MOST_PAIRS_SHOWN)
    if shown.empty:
        drawing = Figure(figsize=(5, 0.6))
        drawing.text(0.5, 0.5, "No near-duplicate pictures across sides.", ha="center", va="center")
        return drawing
    drawing = Figure(figsize=(1.9 * max(2, len(shown)), 4.4), layout="constrained")
    grid = drawing.subplots(2, len(shown), squeeze=False)
    for column, (_, pair) in enumerate(shown.iterrows()):
        for row, end in enumerate("ab"):
            axes = grid[row][column]
            axes.imshow(_thumbnail(Path(path_of[pair[f"image_id_{end}"]])))
            axes.set_axis_off()
            title = f"{pair[f'image_id_{end}']}\n{pair[f'split_{end}']}, {pair[f'dx_{end}']}"
            if end == "a":
                title = ("same file" if pair["exact"] else f"{pair['distance']} of 64 bits differ") + f"\n{title}"
            axes.set_title(title, fontsize=7)
    return drawing


def _thumbnail(path: Path, side: int = 160) -> Image.Image:
    thumbnail = open_picture(path)
    thumbnail.thumbnail((side, side))
    return thumbnail
