"""What the paper says beside what we measured."""

from dataclasses import dataclass

import pandas as pd

from derma_assets.diagnoses import ACTINIC_KERATOSES
from derma_assets.evaluation.markdown import numbers
from derma_assets.evaluation.model_card.blocks import Section, Table, Text
from derma_assets.evaluation.model_card.delivery import MEGABYTE
from derma_assets.evaluation.model_card.evidence import Evidence
from derma_assets.evaluation.model_card.wording import cell, row_of, table_of

RECALL_OF_KERATOSES, MODEL_SIZE = "recall_of_keratoses", "model_size"


@dataclass(frozen=True)
class Published:
    """A figure of "Derma Diagnostics", MobileNet on HAM10000.

    Attributes:
        name: What it is of.
        metric: Of `overall_metrics`, or one of the two above.
        value: As published.
        digits: After the point, as published.
    """

    name: str
    metric: str
    value: float
    digits: int


# Quoted, not measured: the only numbers on the card that are not computed from the graph.
PUBLISHED = (
    Published("Accuracy", "accuracy", 0.820, 3),
    Published("Top-3 accuracy", "top_3_accuracy", 0.979, 3),
    Published("Macro F1", "macro_f1", 0.721, 3),
    Published("Balanced accuracy", "balanced_accuracy", 0.75, 2),
    Published("Melanoma ROC-AUC", "melanoma_roc_auc", 0.967, 3),
    Published(
        "Melanoma sensitivity at 95 % specificity", "melanoma_sensitivity_at_95_specificity_on_test_roc", 0.90, 2
    ),
    Published("Actinic keratoses, recall", RECALL_OF_KERATOSES, 0.27, 2),
    Published("ECE after calibration", "ece_after", 0.043, 3),
    Published("Model in the bundle, MB", MODEL_SIZE, 12.8, 1),
)


def comparison(evidence: Evidence) -> Section:
    """Return the section that compares with the paper."""
    text = (
        "The figures of *Derma Diagnostics* (MobileNet on HAM10000) are shown because a reader will look for them. "
        "They contradict each other, and its melanoma figures are not reachable on the paper's own terms: no "
        "published single small network that we know of is near them on lesion-disjoint splits. So they are no "
        "target that was met or missed; we report what we measure."
    )
    if evidence.chosen.synthetic:
        text += " **Here nothing can be compared: what was measured is of generated pictures.**"
    table = Table(
        comparison_markdown(evidence),
        ("The paper's figures beside ours on test.",),
        ("overall_metrics", "per_class_metrics", "view_metrics", "tfjs_model"),
    )
    return Section("comparison", "Beside the paper's figures", (Text(text), table))


def comparison_markdown(evidence: Evidence) -> str:
    """Return the table of published and measured figures."""
    views = evidence.view_metrics[evidence.view_metrics["count"] == evidence.most_views]
    rows = []
    for one in PUBLISHED:
        row = {"figure": one.name, "paper says": f"{one.value:.{one.digits}f}"}
        if one.metric == MODEL_SIZE:
            variant = evidence.manifest["model"]["variant"]
            size = row_of(evidence.variants.comparison, variant=variant)["bytes"] / MEGABYTE
            rows.append({**row, "we measured, one view": f"{size:.1f} ({variant})", "several views": "", "so": ""})
            continue
        if one.metric == RECALL_OF_KERATOSES:
            measured = row_of(evidence.per_class_metrics, dx=ACTINIC_KERATOSES, metric="recall")
        else:
            measured = row_of(evidence.overall_metrics, metric=one.metric)
        averaged = cell(views, metric=one.metric) if (views["metric"] == one.metric).any() and len(views) else ""
        rows.append(
            {
                **row,
                "we measured, one view": " ".join(numbers(measured)),
                "several views": averaged,
                "so": "" if evidence.chosen.synthetic else verdict(one.value, measured),
            }
        )
    heads = {"several views": f"mean of {evidence.most_views} views", "so": "paper's figure, beside one view"}
    shown = [name for name in rows[0] if name != "several views" or evidence.most_views > 1]
    return table_of([{heads.get(name, name): row[name] for name in shown} for row in rows], right=("paper says",))


def verdict(published: float, measured: pd.Series) -> str:
    """Return where a published figure lies beside the interval of a measured one."""
    if pd.isna(measured["low"]):
        return "not comparable"
    if published < measured["low"]:
        return "below our interval"
    return "above our interval" if published > measured["high"] else "inside our interval"
