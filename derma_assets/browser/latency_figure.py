"""The latency table as a chart."""

import pandas as pd
from matplotlib.figure import Figure

from derma_assets.browser.latency import COLD, LABEL, MEASURED, WARM

_TITLES = {WARM: "from a JPEG file to the findings", COLD: "from opening the page to the first findings"}


def latency_figure(table: pd.DataFrame) -> Figure:
    """Draw the median of every row as a bar, and from the fastest run to the 95th percentile as a line.

    Args:
        table: As `latency.Latency` has it; rows that were not measured are left out.
    """
    measured = table[table["state"] == MEASURED]
    drawing = Figure(figsize=(10, 3.2), layout="constrained")
    for axes, (measure, title) in zip(drawing.subplots(1, 2), _TITLES.items(), strict=True):
        rows = measured[measured["measure"] == measure]
        names = [_name(row["threads"], row["slowdown"]) for _, row in rows.iterrows()]
        places = range(len(rows))
        axes.barh(places, rows["median_ms"], color="#56B4E9")
        axes.hlines(places, rows["min_ms"], rows["p95_ms"], color="#D55E00", linewidth=2)
        for place, median in zip(places, rows["median_ms"], strict=True):
            axes.annotate(f" {median:,.0f}", (0, place), va="center", fontsize=8)
        axes.set_yticks(places, names, fontsize=8)
        axes.invert_yaxis()
        axes.set(title=f"{measure}: {title}", xlabel="milliseconds")
    drawing.supxlabel(f"Bars: medians; lines: fastest run to 95th percentile. {LABEL.capitalize()}.", fontsize=8)
    return drawing


def _name(threads: int, slowdown: float) -> str:
    speed = "full speed" if slowdown == 1 else f"slowed {slowdown:g}x"
    return f"{threads} thread{'s' if threads > 1 else ''}, {speed}"
