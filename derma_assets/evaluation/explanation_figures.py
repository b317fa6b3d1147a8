"""Figures of the explanations: heat over pictures, and how much of it lies on the lesion."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from derma_assets.dataset.figures import contact_sheet, row_middles
from derma_assets.dataset.lesion_figures import outlined
from derma_assets.dataset.stored_rows import Rows
from derma_assets.diagnoses import CODES
from derma_assets.evaluation.activation_maps import GRAD_CAM, enlarged
from derma_assets.evaluation.explanations import BASELINE, GROUPS, PREDICTED, Explained

# How much of the picture the strongest heat covers.
_STRONGEST = 0.65
_COLUMN_GAP = 4
_OUTLINE = (0, 255, 255)  # neither blue nor yellow, as the heat is


def gallery_figure(
    explained: Explained, pixels: Rows, probabilities: np.ndarray, chosen: dict[str, np.ndarray], each: int
) -> Figure:
    """Draw pictures in pairs, with the lesion's outline and under the heat for the predicted diagnosis.

    Args:
        explained: n pictures.
        pixels: (n, S, S, 3) uint8.
        probabilities: (n, 7) calibrated.
        chosen: Rows by true diagnosis, as `explanations.gallery_rows` chooses them.
        each: How many of each diagnosis at most.
    """
    rows = []
    for of_class in chosen.values():
        maps = explained.maps[GRAD_CAM][of_class, :, :, explained.predicted[of_class]]
        heats = enlarged(maps, pixels.shape[1])
        pairs = [
            [
                outlined(picture, explained.masks[row], _OUTLINE)
                for picture in (pixels[row], under_heat(pixels[row], heat))
            ]
            for row, heat in zip(of_class, heats, strict=True)
        ]
        rows.append([picture for pair in pairs for picture in pair])
    drawing = contact_sheet(rows, 2 * each)
    axes, side = drawing.axes[0], pixels.shape[1]
    for top, of_class in zip(row_middles(len(rows), side), chosen.values(), strict=True):
        for column, row in enumerate(of_class):
            text = f"{CODES[explained.predicted[row]]} {probabilities[row].max():.2f}"
            corner = (2 * column * (side + _COLUMN_GAP) + side / 30, top - side / 2 + side / 30)
            axes.text(*corner, text, va="top", fontsize=7, color="black", bbox={"color": "white", "pad": 1})
    axes.set_yticks(row_middles(len(rows), side), [f"true: {code}" for code in chosen])
    return drawing


def under_heat(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return an (S, S, 3) uint8 picture with (S, S) heat over it, blue to yellow as in the app; none: unchanged."""
    share = (heat / heat.max() if heat.max() > 0 else heat)[..., np.newaxis]
    colour = np.concatenate([40 + 215 * share, 70 + 150 * share, 200 - 180 * share], axis=-1)
    covered = _STRONGEST * share
    return (picture * (1 - covered) + colour * covered).astype(np.uint8)


def explanation_figure(table: pd.DataFrame) -> Figure:
    """Draw heat inside the mask and pointing hits of each group beside the baselines, with 95 % intervals.

    Args:
        table: As `explanations.explanation_table` returns it; drawn are the maps of the predicted class.
    """
    panels = {
        "share of the heat inside the lesion": (
            "heat_inside",
            "coarse_centre_heat_inside",
            "centre_heat_inside",
            "mask_share",
        ),
        "peak hits the lesion": ("hit", "coarse_centre_hit", "centre_hit", "uniform_hit"),
    }
    groups = [group for group in GROUPS if (table["group"] == group).any()]
    counts = table.drop_duplicates("group").set_index("group")["lesions"]
    drawing = Figure(figsize=(11, 3.8), layout="constrained")
    for axes, (title, metrics) in zip(drawing.subplots(1, 2, sharey=True), panels.items(), strict=True):
        for offset, metric, kind, of, colour, label in zip(
            (-0.27, -0.09, 0.09, 0.27),
            metrics,
            (GRAD_CAM, BASELINE, BASELINE, BASELINE),
            (PREDICTED, "", "", ""),
            ("#D55E00", "#56B4E9", "#0072B2", "#999999"),
            ("Grad-CAM of the predicted diagnosis", "centre, seen through its cells", "centre", "uniform"),
            strict=True,
        ):
            rows = table[(table["map"] == kind) & (table["of"] == of) & (table["metric"] == metric)]
            rows = rows.set_index("group").loc[groups]
            at = np.arange(len(groups)) + offset
            axes.vlines(at, rows["low"], rows["high"], color=colour, linewidth=2, alpha=0.6)
            axes.plot(at, rows["value"], "o", color=colour, markersize=4, label=label)
        axes.set(title=title, ylim=(-0.02, 1.02))
        axes.set_xlabel("pictures, and number of lesions; lines are 95 % intervals over lesions", fontsize=8)
        axes.set_xticks(range(len(groups)), [f"{group}\n{counts[group]}" for group in groups], fontsize=8)
        axes.grid(axis="y", color="#DDDDDD")
    drawing.legend(*drawing.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return drawing
