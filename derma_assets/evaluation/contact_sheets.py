"""Contact sheets of the pictures to look at: as figures, and as one page that needs nothing but itself."""

import base64
import html
import io
import textwrap
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from derma_assets.dataset.preprocessing import open_picture
from derma_assets.evaluation.data_quality import FINDINGS, DataQuality

THUMBNAIL = (160, 120)  # width and height in pixels
_COLUMNS, _CAPTION = 6, 52
# On the page: to look at first, and of each finding.
ON_PAGE, OF_EACH = 120, 36


def contact_sheet(pictures: pd.DataFrame, path_of: Mapping[str, str]) -> Figure:
    """Draw pictures with identifier, diagnosis and reason above each.

    Args:
        pictures: `image_id`, `dx` and `reason`; all are drawn.
        path_of: Path of each picture by `image_id`.
    """
    if pictures.empty:
        drawing = Figure(figsize=(4, 0.5))
        drawing.text(0.5, 0.5, "none", ha="center", va="center")
        return drawing
    width, height = THUMBNAIL
    down, across = height + _CAPTION, width + 8
    lines = -(-len(pictures) // _COLUMNS)
    columns = min(_COLUMNS, len(pictures))
    sheet = np.full((lines * down, columns * across, 3), 255, np.uint8)
    drawing = Figure(figsize=(sheet.shape[1] / 80, sheet.shape[0] / 80))
    # One picture on one pair of axes: twenty-four pairs take Matplotlib seconds to draw.
    axes = drawing.add_axes((0.0, 0.0, 1.0, 1.0))
    for place, row in enumerate(pictures.to_dict("records")):
        top, left = place // _COLUMNS * down + _CAPTION, place % _COLUMNS * across
        sheet[top : top + height, left : left + width] = np.asarray(_thumbnail(path_of[row["image_id"]]))
        reason = textwrap.wrap(row["reason"], 36, max_lines=3, placeholder=" ...")
        caption = "\n".join([f"{row['image_id']}, {row['dx']}", *reason])
        axes.text(left, top - 3, caption, ha="left", va="bottom", fontsize=6.5, linespacing=1.1)
    axes.imshow(sheet)
    axes.set_axis_off()
    return drawing


def write_page(quality: DataQuality, path_of: Mapping[str, str], note: str, file: Path) -> None:
    """Write the pictures to look at first, and the first of each finding, as one HTML file with its thumbnails inside.

    Args:
        quality: What was found.
        path_of: Path of each picture by `image_id`.
        note: Shown at the top.
        file: To write to.
    """
    found = quality.pictures[quality.pictures["points"] > 0]
    sections = [_section("To look at first", len(found), found.head(ON_PAGE), path_of)]
    for finding, title in FINDINGS.items():
        of_finding = quality.with_finding(finding)
        if len(of_finding):
            sections.append(_section(title, len(of_finding), of_finding.head(OF_EACH), path_of))
    covered = f"{100 * quality.covered:.0f} %"
    file.write_text(
        f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Data quality</title>
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 1rem auto; max-width: 90rem; padding: 0 1rem; }}
.sheet {{ display: grid; grid-template-columns: repeat(auto-fill, minmax({THUMBNAIL[0]}px, 1fr)); gap: 1rem; }}
figure {{ margin: 0; }} figcaption {{ font-size: 12px; overflow-wrap: anywhere; }}
</style>
<h1>Data quality</h1>
<p>{html.escape(note)}</p>
<p>{len(quality.pictures)} pictures, {len(found)} with a finding. Labels were judged on the {covered} of the pictures of
which a model has said something without having seen them. All findings are heuristics: look before you believe.</p>
{"".join(sections)}
</html>
""",
        encoding="utf-8",
    )


def _section(title: str, count: int, shown: pd.DataFrame, path_of: Mapping[str, str]) -> str:
    figures = []
    for row in shown.to_dict("records"):
        buffer = io.BytesIO()
        _thumbnail(path_of[row["image_id"]]).save(buffer, "JPEG", quality=80)
        encoded = base64.b64encode(buffer.getvalue()).decode()
        figures.append(
            f'<figure><img src="data:image/jpeg;base64,{encoded}" width="{THUMBNAIL[0]}" height="{THUMBNAIL[1]}" '
            f'alt="{html.escape(row["image_id"])}"><figcaption><b>{html.escape(row["image_id"])}</b> '
            f"{html.escape(row['dx'])}<br>{html.escape(row['reason'])}</figcaption></figure>"
        )
    first = f", the first {len(shown)}" if len(shown) < count else ""
    return f'<h2>{html.escape(title)} ({count}{first})</h2>\n<div class="sheet">{"".join(figures)}</div>\n'


def _thumbnail(path: str) -> Image.Image:
    return ImageOps.fit(open_picture(Path(path)), THUMBNAIL)
