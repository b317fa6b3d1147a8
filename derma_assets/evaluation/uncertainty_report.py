"""The tables of uncertainty as Markdown."""

import pandas as pd

from derma_assets.diagnoses import CODES
from derma_assets.evaluation.class_calibration import CLASS_CALIBRATION_METRICS
from derma_assets.evaluation.decision_curve import useful_range
from derma_assets.evaluation.markdown import markdown_table, percent, value_and_interval

_SHOWN_THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
_SHOWN_COVERAGES = (0.5, 0.7, 0.8, 0.9, 1.0)


def risk_coverage_markdown(table: pd.DataFrame) -> str:
    """Return risk at a few coverages and the areas as Markdown, one column a measure of certainty."""
    risk = table[table["metric"] == "risk"]
    shown = {
        f"risk at {percent(coverage)} answered": risk[risk["coverage"] == coverage] for coverage in _SHOWN_COVERAGES
    }
    shown["mean risk (AURC)"] = table[table["metric"] == "aurc"]
    shown["above an oracle's"] = table[table["metric"] == "excess_aurc"]
    rows = []
    for label, of in shown.items():
        rows.append({"": label, **{row["certainty"]: " ".join(value_and_interval(row)) for _, row in of.iterrows()}})
    return markdown_table(pd.DataFrame(rows))


def refusal_of_uncertain_markdown(table: pd.DataFrame) -> str:
    """Return as Markdown what refusing the least certain pictures changes, and which are refused."""
    cells = {(row["metric"], row["pictures"]): " ".join(value_and_interval(row)) for _, row in table.iterrows()}
    changed = table.loc[table["pictures"] == "gain", "metric"]
    rows = [
        {
            "metric": metric.replace("_", " "),
            "all": cells[metric, "all"],
            "answered": cells[metric, "answered"],
            "gain": cells[metric, "gain"],
        }
        for metric in changed
    ]
    refused = [
        {"refused of": label, "share": cells[metric, "all"]}
        for metric, label in (("refused", "all"), *((f"refused_{code}", code) for code in CODES))
    ]
    return f"{markdown_table(pd.DataFrame(rows))}\n\n{markdown_table(pd.DataFrame(refused))}"


def decision_curve_markdown(table: pd.DataFrame) -> str:
    """Return the net benefit at a few thresholds as Markdown, and where the model is better than no model."""
    rows, sentences = [], []
    for setting in table["setting"].unique().tolist():
        of_setting = table[table["setting"] == setting]
        label = f"{setting}: {percent(of_setting['prevalence'].iloc[0])} malignant"
        for threshold in _SHOWN_THRESHOLDS:
            of = of_setting[of_setting["threshold"] == threshold]
            cells = {row["strategy"]: " ".join(value_and_interval(row)) for _, row in of.iterrows()}
            rows.append(
                {
                    "prevalence": label,
                    "threshold": percent(threshold),
                    "model": cells["model"],
                    "everyone": cells["everyone"],
                    "gain over the better of everyone and no one": cells["gain"],
                }
            )
        where = useful_range(table, setting)
        between = f"from {percent(where[0])} to {percent(where[1])}" if where else "at no threshold looked at"
        sentences.append(f"Better than referring everyone or no one ({label}), with 95 % confidence: {between}.")
    return f"{markdown_table(pd.DataFrame(rows))}\n\n{' '.join(sentences)}"


def class_calibration_markdown(table: pd.DataFrame) -> str:
    """Return the calibration of each diagnosis as Markdown, one row a diagnosis, one column a metric."""
    rows = []
    for code, of_class in table.groupby("dx", sort=False):
        of = {row["metric"]: " ".join(value_and_interval(row)) for _, row in of_class.iterrows()}
        pictures = str(of_class["images"].iloc[0])
        rows.append({"dx": code, "pictures": pictures, **{name: of[name] for name in CLASS_CALIBRATION_METRICS}})
    return markdown_table(pd.DataFrame(rows), right=("pictures",))
