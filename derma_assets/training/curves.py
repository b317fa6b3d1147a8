"""Training curves: how loss and macro-F1 went, epoch by epoch."""

import pandas as pd
from matplotlib.figure import Figure


def kept_epoch(history: pd.DataFrame) -> pd.Series:
    """Return the row of the epoch whose weights were kept."""
    return history[history["kept"]].iloc[0]


def training_curves(history: pd.DataFrame) -> Figure:
    """Return the curves of a training history; a dotted line marks the epoch whose weights were kept."""
    drawing = Figure(figsize=(9, 3.2), layout="constrained")
    panels = (("loss", "loss"), ("macro_f1", "macro-F1"), ("learning_rate", "learning rate"))
    kept = kept_epoch(history)["epoch"]
    for axes, (column, title) in zip(drawing.subplots(1, 3), panels, strict=True):
        axes.plot(history["epoch"], history[column], label="train")
        if f"val_{column}" in history:
            axes.plot(history["epoch"], history[f"val_{column}"], label="validation")
            axes.axvline(kept, linestyle=":", color="grey", label="kept")
            axes.legend(frameon=False)
        axes.set(title=title, xlabel="epoch")
    return drawing
