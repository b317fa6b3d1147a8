"""What the paper says and what was aimed at, beside what we measured."""

import pandas as pd

from derma_assets.evaluation.markdown import numbers
from derma_assets.evaluation.model_card.blocks import Section, Table, Text
from derma_assets.evaluation.model_card.delivery import MEGABYTE
from derma_assets.evaluation.model_card.evidence import Evidence
from derma_assets.evaluation.model_card.wording import cell, row_of, table_of
from derma_assets.evaluation.published import MODEL_SIZE, PUBLISHED, on_calibration


def comparison(evidence: Evidence) -> Section:
    """Return the section that compares with the paper."""
    text = (
        "The figures of *Derma Diagnostics* (MobileNet on HAM10000) are shown because a reader will look for them. "
        "They contradict each other, and its melanoma figures are not reachable on the paper's own terms: no "
        "published single small network that we know of is near them on lesion-disjoint splits. So they are no "
        "target that was met or missed; we report what we measure. *Aimed at* is what this project set out to reach on "
        "lesions held out; where that is inside our interval, the test set is too small to be sure either way."
    )
    if evidence.studies.trials is not None:
        text += " What was tried to get there, and what each try gave, is under [Trials](#selection-trials)."
    if evidence.chosen.synthetic:
        text += " **Here nothing can be compared: what was measured is of generated pictures.**"
    table = Table(
        comparison_markdown(evidence),
        ("The paper's figures beside ours on test.",),
        ("overall_metrics", "per_class_metrics", "view_metrics", "tfjs_model"),
    )
    calibration = [] if evidence.chosen.synthetic else [Text(on_calibration(evidence.ece_by_chance))]
    return Section("comparison", "Beside the paper's figures", (Text(text), table, *calibration))


def comparison_markdown(evidence: Evidence) -> str:
    """Return the table of published and measured figures."""
    views = evidence.view_metrics[evidence.view_metrics["count"] == evidence.most_views]
    tables = {"overall_metrics": evidence.overall_metrics, "per_class_metrics": evidence.per_class_metrics}
    rows = []
    for one in PUBLISHED:
        if one.metric == MODEL_SIZE:
            variant = evidence.manifest["model"]["variant"]
            value = row_of(evidence.variants.comparison, variant=variant)["bytes"] / MEGABYTE
            ours, averaged, beside = f"{value:.1f} ({variant})", "", ""
            outcome = one.outcome(value)
        else:
            measured = one.measured(tables)
            ours, beside = " ".join(numbers(measured)), verdict(one.value, measured)
            outcome = one.outcome(*measured[["value", "low", "high"]])
            averaged = cell(views, metric=one.metric) if (views["metric"] == one.metric).any() else ""
        real = not evidence.chosen.synthetic
        rows.append(
            {
                "figure": one.name,
                "paper says": f"{one.value:.{one.digits}f}",
                "we measured, one view": ours,
                "several views": averaged,
                "so": beside if real else "",
                "aimed at": f"{one.aimed:g}",
                "reached": outcome if real else "",
            }
        )
    heads = {"several views": f"mean of {evidence.most_views} views", "so": "paper's figure, beside one view"}
    shown = [name for name in rows[0] if name != "several views" or evidence.most_views > 1]
    return table_of(
        [{heads.get(name, name): row[name] for name in shown} for row in rows], right=("paper says", "aimed at")
    )


def verdict(published: float, measured: pd.Series) -> str:
    """Return where a published figure lies beside the interval of a measured one."""
    if pd.isna(measured["low"]):
        return "not comparable"
    if published < measured["low"]:
        return "below our interval"
    return "above our interval" if published > measured["high"] else "inside our interval"
