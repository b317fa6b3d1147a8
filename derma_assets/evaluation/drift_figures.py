"""What arrived beside what is known, as distributions."""

import math

import pandas as pd
from matplotlib.figure import Figure

_COLUMNS = 3


def drift_figure(known: pd.DataFrame, arrived: pd.DataFrame) -> Figure:
    """Return the empirical distribution functions of each measure, known pictures and those that arrived.

    Args:
        known: As `drift.drift_table` takes it.
        arrived: The same.
    """
    measures = [name for name in known.columns.drop("dx") if name in arrived]
    rows = math.ceil(len(measures) / _COLUMNS)
    drawing = Figure(figsize=(3.2 * _COLUMNS, 2.4 * rows), layout="constrained")
    for place, (measure, axes) in enumerate(
        zip(measures, drawing.subplots(rows, _COLUMNS, squeeze=False).flat, strict=False)
    ):
        axes.ecdf(known[measure].dropna(), label=f"known ({len(known)})", color="#999999")
        axes.ecdf(arrived[measure].dropna(), label=f"arrived ({len(arrived)})", color="#D55E00")
        axes.set_title(measure, fontsize=9)
        axes.tick_params(labelsize=7)
        if place == 0:
            axes.legend(fontsize=7)
    for axes in drawing.axes[len(measures) :]:
        axes.set_visible(False)
    return drawing
