"""Figures of the stage `dataset`: how many of each diagnosis, and what the pictures look like."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import ImageOps

from derma_assets.dataset.preprocessing import open_picture
from derma_assets.dataset.stored_rows import Rows
from derma_assets.diagnoses import DIAGNOSES

_THUMBNAIL = (120, 90)  # width and height in pixels
_GAP = 4


def class_counts(metadata: pd.DataFrame) -> pd.DataFrame:
    """Return one row per diagnosis: dx, name, images, lesions, and its share of the lesions."""
    by_dx = metadata.groupby("dx")
    images, lesions = by_dx.size(), by_dx["lesion_id"].nunique()
    rows = [(d.code, d.name, int(images.get(d.code, 0)), int(lesions.get(d.code, 0))) for d in DIAGNOSES]
    counts = pd.DataFrame(rows, columns=["dx", "name", "images", "lesions"])
    return counts.assign(share_of_lesions=counts["lesions"] / counts["lesions"].sum())


def class_counts_figure(metadata: pd.DataFrame) -> Figure:
    """Return bars of images and lesions of each diagnosis, on a logarithmic axis: HAM10000 spans two decades."""
    counts = class_counts(metadata)
    drawing = Figure(figsize=(7, 3))
    axes = drawing.subplots()
    place = np.arange(len(counts))
    colours = [diagnosis.colour for diagnosis in DIAGNOSES]
    axes.barh(place - 0.2, counts["images"], height=0.38, color=colours, label="images")
    axes.barh(place + 0.2, counts["lesions"], height=0.38, color=colours, alpha=0.45, label="lesions")
    for offset, column in ((-0.2, "images"), (0.2, "lesions")):
        for at, count in zip(place, counts[column], strict=True):
            axes.text(max(count, 1), at + offset, f" {count} {column}", va="center", fontsize=7)
    axes.set_xscale("log")
    axes.set_xlim(1, 4 * max(10, counts["images"].max()))
    axes.set_yticks(place, counts["dx"])
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("count (logarithmic)")
    return drawing


def pictures_figure(metadata: pd.DataFrame, manifest: pd.DataFrame, per_class: int = 8) -> Figure:
    """Return readable pictures of each diagnosis, one row of `per_class` each, taken evenly from the file's order."""
    readable = metadata.merge(manifest.loc[manifest["status"] == "ok", ["image_id", "path"]], on="image_id")
    rows = []
    for diagnosis in DIAGNOSES:
        of_class = readable.loc[readable["dx"] == diagnosis.code, "path"].tolist()
        rows.append([_thumbnail(Path(of_class[row])) for row in evenly(len(of_class), per_class)])
    drawing = contact_sheet(rows, per_class)
    axes = drawing.axes[0]
    axes.set_yticks(row_middles(len(DIAGNOSES), _THUMBNAIL[1]), [diagnosis.code for diagnosis in DIAGNOSES])
    return drawing


def arrays_figure(pixels: Rows, shown: int = 24) -> Figure:
    """Return `shown` of (n, size, size, 3) uint8 pictures as the model sees them, taken evenly."""
    chosen = [pixels[row] for row in evenly(len(pixels), shown)]
    return contact_sheet([chosen[start : start + 8] for start in range(0, len(chosen), 8)], 8)


def evenly(available: int, wanted: int) -> list[int]:
    """Return `wanted` of the numbers 0..available-1, evenly spaced; all of them if there are fewer."""
    return np.linspace(0, available - 1, min(wanted, available)).astype(int).tolist()


def _thumbnail(path: Path) -> np.ndarray:
    return np.asarray(ImageOps.fit(open_picture(path), _THUMBNAIL))


def row_middles(rows: int, height: int) -> list[float]:
    """Return where the middle of each row of a contact sheet is, of pictures `height` pixels high."""
    return [(row + 0.5) * (height + _GAP) for row in range(rows)]


def contact_sheet(rows: list[list[np.ndarray]], columns: int) -> Figure:
    """Return a contact sheet. It is one picture on one pair of axes: fifty pairs take Matplotlib seconds to draw."""
    height, width = next((picture.shape[:2] for row in rows for picture in row), (1, 1))
    down, across = height + _GAP, width + _GAP
    sheet = np.full((len(rows) * down, columns * across, 3), 255, np.uint8)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            sheet[row * down : row * down + height, column * across : column * across + width] = picture
    drawing = Figure(figsize=(sheet.shape[1] / 100 + 0.5, sheet.shape[0] / 100 + 0.1), layout="constrained")
    axes = drawing.subplots()
    axes.imshow(sheet)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return drawing
