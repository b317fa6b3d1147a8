"""The metric tables as Markdown. `python -m derma_assets.evaluation.report` prints those stored last."""

import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from derma_assets.calibration.input_guard import REASONS
from derma_assets.errors import InputError, UserError
from derma_assets.evaluation.activation_maps import GRAD_CAM
from derma_assets.evaluation.explanations import ALL, BASELINE, PREDICTED
from derma_assets.evaluation.markdown import markdown, numbers, percent, three
from derma_assets.evaluation.subgroups import SUBGROUP_METRICS
from derma_assets.evaluation.tables import PER_CLASS_METRICS
from derma_assets.evaluation.uncertainty_report import (
    class_calibration_markdown,
    decision_markdown,
    selective_markdown,
)
from derma_assets.storage.paths import how_to_store
from derma_assets.storage.published import fetched_path

# What a reader is shown instead of a column's name, in the order shown.
LABELS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "top_2_accuracy": "Top-2 accuracy",
    "top_3_accuracy": "Top-3 accuracy",
    "macro_precision": "Macro precision",
    "macro_recall": "Macro recall",
    "macro_f1": "Macro F1",
    "ece_before": "ECE before calibration",
    "ece_after": "ECE after calibration",
    "nll_before": "NLL before calibration",
    "nll_after": "NLL after calibration",
    "brier_before": "Brier score before calibration",
    "brier_after": "Brier score after calibration",
    "melanoma_roc_auc": "Melanoma ROC-AUC",
    "melanoma_sensitivity_at_95_specificity_on_test_roc": (
        "Melanoma sensitivity at 95 % specificity (read off the test ROC)"
    ),
    "melanoma_sensitivity": "Melanoma sensitivity at the operating point",
    "melanoma_specificity": "Melanoma specificity at the operating point",
    "referral_sensitivity": "Referral sensitivity at the operating point",
    "referral_specificity": "Referral specificity at the operating point",
    "referral_roc_auc": "Referral ROC-AUC",
    "verdict_sensitivity": "Sensitivity of the app's verdict (either rule) for any malignant lesion",
    "verdict_specificity": "Specificity of the app's verdict (either rule)",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "accuracy_gain": "Gain in accuracy over one view",
    "balanced_accuracy_gain": "Gain in balanced accuracy over one view",
    "melanoma_roc_auc_gain": "Gain in melanoma ROC-AUC over one view",
}

# What is measured of a map; the lower ones are what is compared with, see `explanations`.
EXPLANATION_LABELS = {
    "heat_inside": "Heat inside",
    "heat_over_centre": "above centre",
    "heat_over_coarse_centre": "above coarse centre",
    "hit": "Peak hits",
    "hit_over_centre": "above centre's",
    "hit_over_coarse_centre": "above coarse centre's",
    "mask_share": "Uniform: inside",
    "uniform_hit": "Uniform: hits",
    "centre_heat_inside": "Centre: inside",
    "centre_hit": "Centre: hits",
    "coarse_centre_heat_inside": "Coarse centre: inside",
    "coarse_centre_hit": "Coarse centre: hits",
    "coarse_mask_heat_inside": "Coarse mask: inside",
}

# What the kinds of pictures and the reasons for refusing them are called.
KIND_LABELS = {
    "good": "Good pictures",
    "blurred": "Out of focus",
    "dark": "Too dark",
    "bright": "Overexposed",
    "noise": "Noise",
    "text": "Text and screens",
    "landscape": "Landscapes and things",
    "cat": "A cat",
    "bare_skin": "Skin without a lesion",
}


def metrics_markdown(overall: pd.DataFrame, per_class: pd.DataFrame, note: str) -> str:
    """Return both tables as Markdown, under a note that says what they are built from.

    Args:
        overall: `metric`, `value`, `low`, `high`.
        per_class: `dx`, `name`, `metric`, `value`, `low`, `high`, `images`, `lesions`.
        note: Shown above the tables.
    """
    pictures, lesions = (int(per_class.drop_duplicates("dx")[unit].sum()) for unit in ("images", "lesions"))
    lines = [
        "# Metrics on test",
        "",
        f"> {note}",
        "",
        f"{pictures} pictures of {lesions} lesions. In brackets 95 % intervals, by resampling lesions.",
        "",
        overall_markdown(overall),
        "",
        per_class_markdown(per_class),
        "",
    ]
    return "\n".join(lines)


def overall_markdown(overall: pd.DataFrame) -> str:
    """Return the table of the overall metrics as Markdown; `overall`: `metric`, `value`, `low`, `high`."""
    shown = [(LABELS.get(row["metric"], row["metric"]), *numbers(row)) for _, row in overall.iterrows()]
    return markdown(pd.DataFrame(shown, columns=["metric", "value", "95 % interval"]), right=("value",))


def per_class_markdown(per_class: pd.DataFrame) -> str:
    """Return the metrics of each diagnosis as Markdown, one row a diagnosis, one column a metric."""
    rows = []
    for code, group in per_class.groupby("dx", sort=False):
        of = {row["metric"]: " ".join(numbers(row)) for _, row in group.iterrows()}
        first = group.iloc[0]
        rows.append(
            {
                "diagnosis": f"{first['name']} ({code})",
                "pictures": first["images"],
                "lesions": first["lesions"],
                **{LABELS[metric]: of[metric] for metric in PER_CLASS_METRICS},
            }
        )
    return markdown(pd.DataFrame(rows), right=("pictures", "lesions"))


def refusals_markdown(refusals: pd.DataFrame) -> str:
    """Return as Markdown how many pictures of each kind were refused, and why; see `refusals.refusal_table`."""
    rows = [
        {
            "pictures": KIND_LABELS[row["kind"]],
            "number": str(row["pictures"]),
            "refused": percent(row["share"]),
            "95 % interval": f"{percent(row['low'])} to {percent(row['high'])}",
            "because": ", ".join(
                f"{reason.replace('_', ' ')} {row[reason]}"
                for reason in sorted(REASONS, key=lambda reason: -row[reason])
                if row[reason]
            ),
        }
        for _, row in refusals.iterrows()
    ]
    return markdown(pd.DataFrame(rows), right=("number", "refused"))


def views_markdown(views: pd.DataFrame) -> str:
    """Return the metrics by number of views as Markdown, one row a metric, one column a number of views."""
    cells = {
        (row["metric"], row["count"]): " ".join(numbers(row)) if not pd.isna(row["value"]) else ""
        for _, row in views.iterrows()
    }
    counts = sorted(views["count"].unique())
    rows = [
        {
            "metric": LABELS[metric],
            **{f"{count} view{'s' if count > 1 else ''}": cells.get((metric, count), "") for count in counts},
        }
        for metric in views["metric"].unique()
    ]
    return markdown(pd.DataFrame(rows), right=())


def subgroups_markdown(subgroups: pd.DataFrame) -> str:
    """Return the metrics of each subgroup as Markdown, one row a group, one column a metric."""
    rows = []
    for _, of_group in subgroups.groupby(["attribute", "group"], sort=False):
        of = {row["metric"]: " ".join(numbers(row)) for _, row in of_group.iterrows()}
        first = of_group.iloc[0]
        rows.append(
            {
                "group": f"{_words(first['attribute'])}: {_words(first['group'])}",
                "pictures": first["images"],
                "lesions": first["lesions"],
                "malignant": first["malignant"],
                "melanomas": first["melanomas"],
                **{_short(metric): of[metric] for metric in SUBGROUP_METRICS},
            }
        )
    return markdown(pd.DataFrame(rows), right=("pictures", "lesions", "malignant", "melanomas"))


def gaps_markdown(gaps: pd.DataFrame) -> str:
    """Return the gaps between subgroups as Markdown, one row an attribute and metric; see `subgroup_gaps`."""
    rows = []
    for _, row in gaps.iterrows():
        compared = row["groups"] > 1
        ends = {
            end: f"{_words(str(row[f'{end}_group']))} {three(row[end])}" if compared else ""
            for end in ("lowest", "highest")
        }
        rows.append(
            {
                "by": _words(row["attribute"]),
                "metric": _short(row["metric"]),
                "groups": str(row["groups"]),
                **ends,
                "gap": " ".join(numbers(row)) if compared else "too few lesions",
            }
        )
    return markdown(pd.DataFrame(rows), right=("groups",))


def explanations_markdown(explanations: pd.DataFrame) -> str:
    """Return where the model looked as Markdown; see `explanation_table`.

    One row a group of pictures for Grad-CAM of the predicted diagnosis, then one a map for the others on all pictures.
    """
    baselines = explanations[explanations["map"] == BASELINE]
    values = dict(zip(zip(baselines["group"], baselines["metric"], strict=True), baselines["value"], strict=True))
    of_maps = explanations[explanations["map"] != BASELINE]
    main = (of_maps["map"] == GRAD_CAM) & (of_maps["of"] == PREDICTED)
    shown = pd.concat([of_maps[main], of_maps[~main & (of_maps["group"] == ALL)]])
    rows = []
    for (kind, of, group), own in shown.groupby(["map", "of", "group"], sort=False):
        values_of = {row["metric"]: " ".join(numbers(row)) for _, row in own.iterrows()}
        first = own.iloc[0]
        rows.append(
            {
                "map": f"{_words(str(kind))}, {of}",
                "pictures": group,
                "number": first["images"],
                "lesions": first["lesions"],
                **{title: values_of[metric] for metric, title in EXPLANATION_LABELS.items() if metric in values_of},
                **{
                    title: three(values[group, metric])
                    for metric, title in EXPLANATION_LABELS.items()
                    if (group, metric) in values
                },
            }
        )
    return markdown(pd.DataFrame(rows), right=("number", "lesions"))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _short(metric: str) -> str:
    return LABELS[metric].removesuffix(" at the operating point").removesuffix(" after calibration")


def stored_report(store: Path, note: str) -> str:
    """Return the report on the tables stored below `store`; of the sections below the metrics, those that are there.

    Raises:
        InputError: the metrics have not been stored yet, or a table was stored by another version.
    """
    tables = {}
    for asset in ("overall_metrics", "per_class_metrics"):
        path = fetched_path(store, asset, "table")
        if not path.exists():
            raise InputError(how_to_store(asset, path))
        tables[asset] = pd.read_parquet(path)
    report = metrics_markdown(tables["overall_metrics"], tables["per_class_metrics"], note)
    for asset, (title, section) in SECTIONS.items():
        path = fetched_path(store, asset, "table")
        if path.exists():
            report += f"\n## {title}\n\n{_shown(section, path, asset)}\n"
    return report


def _shown(section: Callable[[pd.DataFrame], str], path: Path, asset: str) -> str:
    try:
        return section(pd.read_parquet(path))
    except KeyError as error:
        raise InputError(
            f"{asset} was stored by another version of the project, without {error}. Materialize it again: "
            f"dagster asset materialize -m derma_assets.definitions --select '{asset}'"
        ) from error


# What is reported on beside the metrics: title, and what makes Markdown of the asset's table.
SECTIONS: dict[str, tuple[str, Callable[[pd.DataFrame], str]]] = {
    "subgroup_metrics": ("By patient, place, confirmation and skin tone", subgroups_markdown),
    "subgroup_gaps": ("Largest gaps between groups", gaps_markdown),
    "explanations": ("Where the model looked", explanations_markdown),
    "view_metrics": ("Averaged over flips and turns", views_markdown),
    "risk_coverage": ("Refusing the least certain", selective_markdown),
    "decision_curve": ("Net benefit of referral", decision_markdown),
    "class_calibration": ("Calibration of each diagnosis", class_calibration_markdown),
    "refusal_rates": ("Pictures refused", refusals_markdown),
}


def main() -> int:
    """Print the report on the tables stored last with the current settings."""
    from derma_assets.settings import settings
    from derma_assets.ui_metadata import note

    try:
        print(stored_report(settings().store, str(note().value)))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
