"""Figures of what the model's probabilities are worth: risk at each coverage, net benefit, calibration by class."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from derma_assets.diagnoses import DIAGNOSES
from derma_assets.evaluation import decision_curve, selective
from derma_assets.evaluation.class_calibration import OBSERVED

_COLOURS = ("#0072B2", "#D55E00", "#009E73")
_PANELS = {"risk": "risk (1 - accuracy)", "macro_f1": "macro F1", "melanoma_miss_rate": "melanomas missed"}


def risk_coverage_figure(table: pd.DataFrame) -> Figure:
    """Draw risk, macro F1 and missed melanomas at each coverage, and the share refused of each diagnosis.

    Args:
        table: As `selective.selective_table` returns it.
    """
    drawing = Figure(figsize=(13, 3.4), layout="constrained")
    panels = drawing.subplots(1, len(_PANELS) + 1)
    curve = table[table["part"] == selective.CURVE].assign(coverage=lambda rows: rows["name"].astype(float))
    for axes, (metric, title) in zip(panels[:-1], _PANELS.items(), strict=True):
        of_metric = curve[curve["metric"] == metric]
        for colour, name in zip(_COLOURS, selective.CONFIDENCES, strict=True):
            rows = of_metric[of_metric["confidence"] == name].sort_values("coverage")
            if name == selective.CHOSEN:
                axes.fill_between(rows["coverage"], rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
            axes.plot(rows["coverage"], rows["value"], color=colour, label=name.replace("_", " "))
        axes.axvline(1 - selective.REFUSED_SHARE, color="grey", linestyle=":")
        axes.set(xlabel="coverage (share answered)", title=title, xlim=(0.1, 1), ylim=(0, None))
    panels[0].legend(frameon=False, fontsize=8)
    refused = table[table["part"] == selective.REFUSED_BY_DX]
    colours = {diagnosis.code: diagnosis.colour for diagnosis in DIAGNOSES}
    panels[-1].bar(refused["name"], refused["value"], color=refused["name"].map(colours), alpha=0.75)
    panels[-1].vlines(refused["name"], refused["low"], refused["high"], color="#D55E00", linewidth=2)
    panels[-1].set(title="share refused by diagnosis", ylim=(0, None))
    drawing.supxlabel("bands and lines are 95 % intervals over lesions", fontsize=8)
    return drawing


def decision_figure(table: pd.DataFrame, clinic_prevalence: float) -> Figure:
    """Draw the net benefit of the model, of referring all and of referring none over threshold probabilities.

    Args:
        table: As `decision_curve.decision_table` returns it.
        clinic_prevalence: That the table was made with.
    """
    benefit = table[table["metric"] == decision_curve.NET_BENEFIT]
    drawing = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = drawing.subplots(1, 2)
    _benefit_lines(left, benefit, {decision_curve.DATA_SET: "model"})
    _benefit_lines(
        right,
        benefit,
        {decision_curve.CLINIC_CORRECTED: "model, corrected", decision_curve.CLINIC: "model as it is"},
    )
    left.set_title("at the prevalence of the data set")
    right.set_title(f"weighted to {100 * clinic_prevalence:g} % malignant")
    left.set_ylabel("net benefit")
    drawing.supxlabel("threshold probability of referral; bands are 95 % intervals over lesions", fontsize=9)
    return drawing


def _benefit_lines(axes: Axes, benefit: pd.DataFrame, shown: dict[str, str]) -> None:
    first = next(iter(shown))
    for colour, (population, label) in zip(_COLOURS, shown.items(), strict=False):
        rows = benefit[(benefit["population"] == population) & (benefit["strategy"] == decision_curve.MODEL)]
        axes.fill_between(rows["threshold"], rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
        axes.plot(rows["threshold"], rows["value"], color=colour, label=label)
        if population != decision_curve.CLINIC:  # There it is far below the axis.
            point = rows[rows["operating_point"]]
            axes.plot(point["threshold"], point["value"], "o", color=colour, label="the app's referral")
    everyone = benefit[(benefit["population"] == first) & (benefit["strategy"] == decision_curve.REFER_ALL)]
    axes.plot(everyone["threshold"], everyone["value"], color="grey", label="refer all")
    axes.axhline(0, color="black", linewidth=0.8, label="refer none")
    highest = benefit.loc[benefit["population"] == first, "high"].max()
    axes.set(xlim=(0, 0.5), ylim=(-0.3 * highest, 1.1 * highest))
    axes.legend(frameon=False, fontsize=8)


def class_calibration_figure(table: pd.DataFrame) -> Figure:
    """Draw a reliability diagram of each diagnosis against the rest, in bins of equally many pictures.

    The axes are square roots: most pictures have a small probability of most diagnoses, and there it matters.

    Args:
        table: As `class_calibration.class_calibration_table` returns it.
    """
    drawing = Figure(figsize=(12.5, 6.2), layout="constrained")
    panels = drawing.subplots(2, 4, sharex=True, sharey=True).ravel()
    ticks = [0.01, 0.05, 0.2, 0.5, 1]
    for axes, diagnosis in zip(panels, DIAGNOSES, strict=False):
        rows = table[table["dx"] == diagnosis.code]
        bins = rows[rows["metric"] == OBSERVED].sort_values("bin")
        values = rows.set_index("metric")["value"]
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
        x = np.sqrt(bins["probability"])
        axes.vlines(x, np.sqrt(bins["low"]), np.sqrt(bins["high"]), color=diagnosis.colour, alpha=0.5, linewidth=2)
        axes.plot(x, np.sqrt(bins["value"]), "o-", color=diagnosis.colour, markersize=4, linewidth=0.8)
        axes.set_title(
            f"{diagnosis.code} ({rows.iloc[0]['images']} pictures, {rows.iloc[0]['lesions']} lesions)\n"
            f"ECE {values['ece']:.3f}, intercept {values['intercept']:.2f}, slope {values['slope']:.2f}",
            fontsize=9,
        )
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.set_xticks(np.sqrt(ticks), [f"{tick:g}" for tick in ticks])
        axes.set_yticks(np.sqrt(ticks), [f"{tick:g}" for tick in ticks])
    panels[-1].set_axis_off()
    drawing.supxlabel("mean probability of the bin; lines are 95 % intervals over lesions", fontsize=9)
    drawing.supylabel("share of the diagnosis", fontsize=9)
    return drawing
