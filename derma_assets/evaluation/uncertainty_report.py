"""The tables about the model's probabilities as Markdown."""

from typing import Any

import numpy as np
import pandas as pd

from derma_assets.evaluation import decision_curve, selective
from derma_assets.evaluation.class_calibration import CLASS_CALIBRATION_METRICS
from derma_assets.evaluation.markdown import markdown, numbers, percent, three

# The thresholds shown of a decision curve, beside the operating point's.
SHOWN_THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
REFUSAL_LABELS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "referral_sensitivity": "Referral sensitivity",
    "referral_specificity": "Referral specificity",
    "melanoma_sensitivity": "Melanoma sensitivity",
    "melanoma_specificity": "Melanoma specificity",
    "malignant_missed": "Malignant, neither refused nor referred (of all malignant)",
    "melanoma_missed": "Melanoma, neither refused nor called (of all melanomas)",
}
_CLASS_LABELS = {
    "ece": "ECE",
    "brier": "Brier",
    "brier_skill": "Brier skill",
    "intercept": "Intercept (0 is right)",
    "slope": "Slope (1 is right)",
}
assert set(_CLASS_LABELS) <= set(CLASS_CALIBRATION_METRICS)


def selective_markdown(table: pd.DataFrame) -> str:
    """Return what refusing the least certain pictures changes; `table` as `selective.selective_table` returns it."""
    refusal = _rows_by(table[table["part"] == selective.REFUSAL], "name", "metric")
    coverage = refusal["after", "coverage"]
    rows = [
        {
            "metric": label,
            **{name: " ".join(numbers(refusal[name, metric])) for name in ("before", "after", "difference")},
        }
        for metric, label in REFUSAL_LABELS.items()
    ]
    refused = table[table["part"] == selective.REFUSED_BY_DX].sort_values("value", ascending=False, kind="stable")
    areas = _rows_by(table[table["part"] == selective.AREA], "confidence", "metric")
    of_area = [
        {
            "confidence": name.replace("_", " "),
            "AURC": " ".join(numbers(areas[name, "aurc"])),
            "excess AURC": " ".join(numbers(areas[name, "excess_aurc"])),
        }
        for name in selective.CONFIDENCES
    ]
    threshold = refusal["after", "threshold"]["value"]
    return "\n\n".join(
        [
            f"Refused below a probability of {threshold:.3f}, which refuses {percent(selective.REFUSED_SHARE)} of "
            f"validation; on test {percent(1 - coverage['value'])} "
            f"({percent(1 - coverage['high'])} to {percent(1 - coverage['low'])}).",
            markdown(pd.DataFrame(rows)),
            "Refused most: "
            + ", ".join(
                f"{row['name']} {percent(row['value'])} ({percent(row['low'])} to {percent(row['high'])})"
                for _, row in refused.iterrows()
            )
            + ".",
            markdown(pd.DataFrame(of_area)),
        ]
    )


def decision_markdown(table: pd.DataFrame) -> str:
    """Return the net benefit at a few thresholds; `table` as `decision_curve.decision_table` returns it."""
    operating = set(table.loc[table["operating_point"], "threshold"])
    chosen = table[table["threshold"].isin({*SHOWN_THRESHOLDS, *operating})]
    cells = _rows_by(chosen, "population", "strategy", "metric", "threshold")

    def cell(population: str, strategy: str, metric: str, threshold: float) -> str:
        return " ".join(numbers(cells[population, strategy, metric, threshold]))

    labels = {
        at: f" (the app's referral{', corrected' if population == decision_curve.CLINIC_CORRECTED else ''})"
        for at, population in chosen.loc[chosen["operating_point"], ["threshold", "population"]].itertuples(index=False)
    }
    rows = []
    for at in np.unique(chosen["threshold"]):
        rows.append(
            {
                "threshold": three(at) + labels.get(at, ""),
                "model": cell(decision_curve.DATA_SET, decision_curve.MODEL, decision_curve.NET_BENEFIT, at),
                "refer all": cell(decision_curve.DATA_SET, decision_curve.REFER_ALL, decision_curve.NET_BENEFIT, at),
                "gain over the better of all and none": cell(
                    decision_curve.DATA_SET, decision_curve.GAIN, decision_curve.NET_BENEFIT, at
                ),
                "standardised": cell(decision_curve.DATA_SET, decision_curve.MODEL, decision_curve.STANDARDISED, at),
                "gain in the clinic, corrected": cell(
                    decision_curve.CLINIC_CORRECTED, decision_curve.GAIN, decision_curve.NET_BENEFIT, at
                ),
            }
        )
    return markdown(pd.DataFrame(rows), right=("threshold",))


def class_calibration_markdown(table: pd.DataFrame) -> str:
    """Return the calibration of each diagnosis; `table` as `class_calibration.class_calibration_table` returns it."""
    rows = []
    for code, of_class in table.groupby("dx", sort=False):
        of, first = _rows_by(of_class, "metric"), of_class.iloc[0]
        rows.append(
            {
                "diagnosis": f"{first['name']} ({code})",
                "pictures": first["images"],
                "lesions": first["lesions"],
                **{label: " ".join(numbers(of[(metric,)])) for metric, label in _CLASS_LABELS.items()},
            }
        )
    return markdown(pd.DataFrame(rows), right=("pictures", "lesions"))


def _rows_by(table: pd.DataFrame, *columns: str) -> dict[tuple[Any, ...], pd.Series]:
    """Return the rows of a table by their values in `columns`."""
    return {tuple(row[column] for column in columns): row for _, row in table.iterrows()}
