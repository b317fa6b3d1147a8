"""Figures of uncertainty: risk against coverage, net benefit against threshold, reliability of each diagnosis."""

import pandas as pd
from matplotlib.figure import Figure

from derma_assets.diagnoses import DIAGNOSES

_COLOURS = {"probability": "#0072B2", "margin": "#D55E00", "entropy": "#009E73"}
_SETTINGS = {"data": "as in the test pictures", "clinic": "at the prevalence of a clinic"}


def risk_coverage_figure(table: pd.DataFrame) -> Figure:
    """Draw risk against coverage for each measure of certainty, the first with its 95 % band.

    Args:
        table: As `selective.risk_coverage_table` returns it.
    """
    drawing = Figure(figsize=(5.4, 3.8), layout="constrained")
    axes = drawing.subplots()
    for number, (certainty, rows) in enumerate(table[table["metric"] == "risk"].groupby("certainty", sort=False)):
        areas = table[(table["certainty"] == certainty) & (table["metric"] == "aurc")]
        colour = _COLOURS[str(certainty)]
        axes.plot(rows["coverage"], rows["value"], color=colour, label=f"{certainty}, area {areas['value'].item():.3f}")
        if number == 0:
            axes.fill_between(rows["coverage"], rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="coverage: share of pictures answered", ylabel="risk: share of them wrong", ylim=(0, None))
    axes.legend(frameon=False, fontsize=8)
    return drawing


def decision_curve_figure(table: pd.DataFrame, operating_threshold: float) -> Figure:
    """Draw the net benefit of referring by the model, everyone, and no one, with 95 % bands, one panel a setting.

    Args:
        table: As `decision_curve.decision_curve_table` returns it.
        operating_threshold: Probability at which the app refers, marked where it applies.
    """
    settings = table["setting"].unique()
    drawing = Figure(figsize=(4.8 * len(settings), 3.6), layout="constrained")
    for axes, setting in zip(drawing.subplots(1, len(settings), squeeze=False)[0], settings, strict=True):
        rows = table[table["setting"] == setting]
        highest = rows["value"].max()
        for strategy, colour, label in (
            ("model", "#0072B2", "refer by the model"),
            ("everyone", "#D55E00", "refer everyone"),
        ):
            of = rows[rows["strategy"] == strategy]
            axes.plot(of["threshold"], of["value"], color=colour, label=label)
            axes.fill_between(of["threshold"], of["low"], of["high"], color=colour, alpha=0.15, linewidth=0)
        axes.axhline(0, color="grey", linestyle=":", label="refer no one")
        if setting == "data":
            axes.axvline(operating_threshold, color="black", linewidth=0.8, label="the app's threshold")
        axes.set(
            xlabel="threshold probability of malignancy",
            title=_SETTINGS[setting],
            xlim=(0, 0.5),
            ylim=(-0.25 * highest, 1.15 * highest),
        )
        axes.legend(frameon=False, fontsize=8)
    drawing.axes[0].set_ylabel("net benefit")
    return drawing


def class_calibration_figure(bins: pd.DataFrame) -> Figure:
    """Draw the reliability diagram of each diagnosis, on logarithmic axes: most probabilities are small.

    Args:
        bins: As `class_calibration.class_bins` returns them.
    """
    drawing = Figure(figsize=(11, 5), layout="constrained")
    panels = drawing.subplots(2, 4).ravel()
    for axes, diagnosis in zip(panels, DIAGNOSES, strict=False):
        rows = bins[bins["dx"] == diagnosis.code]
        axes.plot([1e-4, 1], [1e-4, 1], color="grey", linestyle=":")
        axes.plot(rows["mean_probability"], rows["frequency"], "o", color=diagnosis.colour, markersize=4)
        # A bin without a single picture of the diagnosis is drawn at the floor.
        axes.set_xscale("log")
        axes.set_yscale("symlog", linthresh=1e-3)
        axes.set(xlim=(1e-4, 1), ylim=(0, 1), title=diagnosis.code)
    panels[-1].set_visible(False)
    drawing.supxlabel("mean probability of the bin, a tenth of the pictures each", fontsize=8)
    drawing.supylabel("share that shows the diagnosis", fontsize=8)
    return drawing
