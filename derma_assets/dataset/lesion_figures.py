"""Figures of lesion masks and skin tone: outlines over pictures, a histogram of the angle, and strips of examples."""

from typing import Any

import numpy as np
import pandas as pd
import scipy.ndimage
from matplotlib.figure import Figure

from derma_assets.dataset.figures import contact_sheet, evenly, row_middles
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.skin_tone import OFF_SCALE, TONES
from derma_assets.dataset.stored_rows import Rows

_SHOWN = 8
_OF_A_TONE = 6
_OUTLINE = (255, 255, 0)
_SMALL: dict[str, Any] = {"ha": "left", "va": "bottom", "fontsize": 7, "rotation": 30}


def outlined(picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int] = _OUTLINE) -> np.ndarray:
    """Return a copy of an (S, S, 3) uint8 picture with the outline of an (S, S) bool mask, one pixel wide."""
    drawn = picture.copy()
    drawn[mask & ~scipy.ndimage.binary_erosion(mask, border_value=1)] = colour
    return drawn


def masks_figure(pixels: Rows, masks: Rows) -> Figure:
    """Return pictures taken evenly, with the outline of the lesion.

    Args:
        pixels: (n, S, S, 3) uint8.
        masks: (n, S, S) bool.
    """
    chosen = [outlined(pixels[row], masks[row]) for row in evenly(len(pixels), 3 * _SHOWN)]
    return contact_sheet([chosen[start : start + _SHOWN] for start in range(0, len(chosen), _SHOWN)], _SHOWN)


def agreement_figure(agreement: pd.DataFrame) -> Figure:
    """Return the histogram of the Dice coefficient between estimate and data set; see `estimate_agreement`."""
    drawing = Figure(figsize=(5, 2.4), layout="constrained")
    axes = drawing.subplots()
    axes.hist(agreement["dice"], bins=np.linspace(0, 1, 26).tolist(), color="#56B4E9")
    axes.set(xlabel="Dice coefficient of estimated and given mask", ylabel="lesions")
    axes.spines[["top", "right"]].set_visible(False)
    return drawing


def tones_figure(tones: pd.DataFrame) -> Figure:
    """Return the histogram of the angle, with the limits of the groups; see `skin_tone.skin_tones`."""
    drawing = Figure(figsize=(8, 3), layout="constrained")
    axes = drawing.subplots()
    axes.hist(tones["ita"].dropna(), bins=list(range(-90, 181, 3)), color="#E69F00")
    edges = [90.0, *TONES.values()]
    for name, upper, lower in zip(TONES, edges[:-1], edges[1:], strict=True):
        axes.axvline(lower, color="grey", linestyle=":")
        axes.text((upper + lower) / 2, 1.01, name.replace("_", " "), transform=axes.get_xaxis_transform(), **_SMALL)
    axes.axvline(90, color="grey", linestyle=":")
    axes.text(125, 1.01, "off scale: bluer than grey", transform=axes.get_xaxis_transform(), **_SMALL)
    axes.set(xlabel="individual typology angle (degrees); lighter skin to the right", ylabel="pictures")
    axes.set_xlim(-90, 180)
    axes.spines[["top", "right"]].set_visible(False)
    return drawing


def tone_strips_figure(arrays: ImageArrays, tones: pd.DataFrame, masks: Rows) -> Figure:
    """Return pictures of each tone, one row each, taken evenly from the lightest to the darkest of the tone.

    Args:
        arrays: The pictures.
        tones: As `skin_tone.skin_tones` returns them for these pictures, in the same order.
        masks: (n, S, S) bool lesions of the same pictures.
    """
    names, rows = [], []
    for tone in (OFF_SCALE, *TONES):
        of_tone = tones.index[tones["tone"] == tone].to_numpy()
        if len(of_tone):
            by_angle = of_tone[np.argsort(-tones["ita"].to_numpy()[of_tone])]
            chosen = by_angle[evenly(len(by_angle), _OF_A_TONE)]
            rows.append([outlined(arrays.pixels[row], masks[row]) for row in chosen])
            names.append(f"{tone.replace('_', ' ')} ({len(of_tone)})")
    drawing = contact_sheet(rows, _OF_A_TONE)
    axes = drawing.axes[0]
    axes.set_yticks(row_middles(len(rows), arrays.size), names)
    return drawing
