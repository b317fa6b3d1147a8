"""Figures of the calibration: likelihood, reliability, ROC curves with the chosen point, limits on pictures."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from derma_assets.calibration.input_guard import InputGuard
from derma_assets.calibration.operating_points import OperatingPoint
from derma_assets.calibration.reliability import nll
from derma_assets.calibration.temperature import softmax


def likelihood_figure(logits: np.ndarray, labels: np.ndarray, temperature: float) -> Figure:
    """Draw the negative log-likelihood over temperatures around the fitted one.

    Args:
        logits: (n, 7).
        labels: (n,) index of the true class.
        temperature: The fitted one, marked.
    """
    temperatures = np.geomspace(min(0.3, temperature / 2), max(4.0, temperature * 2), 60)
    losses = [float(nll(softmax(logits, at), labels)) for at in temperatures]
    drawing = Figure(figsize=(5, 3.2), layout="constrained")
    axes = drawing.subplots()
    axes.plot(temperatures, losses, color="#0072B2")
    axes.axvline(1, color="grey", linestyle=":", label="before: 1")
    axes.axvline(temperature, color="#D55E00", label=f"fitted: {temperature:.3f}")
    axes.set(xlabel="temperature", ylabel="negative log-likelihood (nats)", title="Validation")
    axes.legend(frameon=False)
    return drawing


def reliability_figure(bins: pd.DataFrame) -> Figure:
    """Draw accuracy against confidence before and after calibration, with the number of pictures in each bin.

    Args:
        bins: As `summary.reliability_table` returns them; with columns `low` and `high`, the intervals of the
            accuracy are drawn too.
    """
    drawing = Figure(figsize=(8.4, 4.2), layout="constrained")
    for axes, (calibration, rows) in zip(
        drawing.subplots(1, 2, sharey=True), bins.groupby("calibration", sort=False), strict=True
    ):
        filled = rows[rows["images"] > 0]
        width = filled["confidence_high"] - filled["confidence_low"]
        axes.bar(filled["confidence_low"], filled["accuracy"], width, align="edge", color="#56B4E9", edgecolor="white")
        if {"low", "high"} <= set(filled):
            middle = filled["confidence_low"] + width / 2
            axes.vlines(middle, filled["low"], filled["high"], color="#0072B2", linewidth=1.5)
        axes.plot(filled["mean_confidence"], filled["accuracy"], "o", color="#D55E00", markersize=4)
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
        for left, images in zip(filled["confidence_low"], filled["images"], strict=True):
            axes.text(left + width.iloc[0] / 2, 0.01, images, ha="center", fontsize=6)
        gap = ((filled["accuracy"] - filled["mean_confidence"]).abs() * filled["images"]).sum() / filled["images"].sum()
        axes.set(
            xlim=(0, 1), ylim=(0, 1), xlabel="confidence", title=f"{calibration} temperature scaling, ECE {gap:.3f}"
        )
        axes.set_aspect("equal")
    drawing.axes[0].set_ylabel("accuracy")
    return drawing


def roc_figure(curves: dict[str, tuple[np.ndarray, np.ndarray, OperatingPoint]]) -> Figure:
    """Draw one ROC curve for each operating point, side by side, with the point marked.

    Args:
        curves: For each name, (n,) scores, (n,) bool truth and the operating point.
    """
    from sklearn.metrics import roc_curve

    drawing = Figure(figsize=(4.2 * len(curves), 4), layout="constrained")
    for axes, (name, (scores, positive, point)) in zip(
        drawing.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True
    ):
        false_positive_rate, sensitivity, _ = roc_curve(positive, scores)
        axes.plot(false_positive_rate, sensitivity, color="#0072B2")
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
        axes.plot(
            1 - point.specificity,
            point.sensitivity,
            "o",
            color="#D55E00",
            label=f"threshold {point.threshold:.3f}\nsensitivity {point.sensitivity:.3f}, "
            f"specificity {point.specificity:.3f}",
        )
        axes.set(xlabel="1 - specificity", ylabel="sensitivity", title=f"{name}, validation", aspect="equal")
        axes.legend(loc="lower right", frameon=False, fontsize=8)
    return drawing


def measures_figure(values: Mapping[str, np.ndarray], guard: InputGuard) -> Figure:
    """Draw how each measure is distributed, with the limits beyond which pictures are refused.

    Args:
        values: (n,) numbers by name of measure.
        guard: The limits are drawn as lines.
    """
    drawing = Figure(figsize=(3.2 * len(guard.measures), 2.8), layout="constrained")
    for axes, measure in zip(drawing.subplots(1, len(guard.measures), squeeze=False)[0], guard.measures, strict=True):
        of_name = values[measure.name]
        if measure.name == "brightness":
            axes.hist(of_name, bins=40, color="#56B4E9")
        else:
            # The others are ratios rather than differences: twice as sharp is twice as sharp everywhere.
            positive = of_name[of_name > 0]
            axes.hist(positive, bins=np.geomspace(positive.min(), positive.max() * 1.001, 40), color="#56B4E9")
            axes.set_xscale("log")
        for limit in (measure.low, measure.high):
            if limit is not None:
                axes.axvline(limit, color="#D55E00")
        axes.set(title=measure.name, yticks=[])
    drawing.supxlabel("pictures of validation; outside the lines they are refused", fontsize=8)
    return drawing
