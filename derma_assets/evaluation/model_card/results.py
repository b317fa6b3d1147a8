"""The section of a model card with the figures on test."""

import pandas as pd
from matplotlib.figure import Figure

from derma_assets.calibration.figures import reliability_figure, roc_figure
from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.calibration.operating_points import OperatingPoint
from derma_assets.calibration.summary import scored
from derma_assets.evaluation.decision_curve import CLINIC_CORRECTED, DATA_SET, useful_range
from derma_assets.evaluation.figures import confusion_figure, per_class_figure, view_figure
from derma_assets.evaluation.markdown import markdown, numbers, percent, three
from derma_assets.evaluation.model_card.blocks import Picture, Section, Table, Text
from derma_assets.evaluation.model_card.evidence import Evidence
from derma_assets.evaluation.model_card.wording import cell, table_of
from derma_assets.evaluation.report import (
    overall_markdown,
    per_class_markdown,
    refusals_markdown,
    views_markdown,
)
from derma_assets.evaluation.uncertainty_figures import class_calibration_figure, decision_figure, risk_coverage_figure
from derma_assets.evaluation.uncertainty_report import (
    class_calibration_markdown,
    decision_markdown,
    selective_markdown,
)
from derma_assets.evaluation.views import GAINS
from derma_assets.splits.grouped_splits import VALIDATION


def results(evidence: Evidence) -> Section:
    """Return the section on test."""
    pictures, lesions = evidence.tested
    text = (
        f"{pictures:,} pictures of {lesions:,} lesions that were held out by lesion. In brackets 95 % intervals over "
        "lesions. Temperature and thresholds were chosen on validation and are taken as given. Where it is not said "
        "otherwise, figures are of a single view of each picture, which is what the slowest device gets."
    )
    parts = (
        _overall(evidence),
        _views(evidence),
        _classes(evidence),
        _confusion(evidence),
        _points(evidence),
        _calibration(evidence),
        _refusing(evidence),
        _decision(evidence),
        _refusals(evidence),
    )
    return Section("results", "Results on test", (Text(text),), parts)


def _overall(evidence: Evidence) -> Section:
    text = (
        "Balanced accuracy and macro F1 count every diagnosis alike; accuracy mostly counts nevi. The app's verdict "
        "is to refer if either rule says so. ECE is the expected calibration error in fifteen bins, NLL the negative "
        "log-likelihood in nats."
    )
    table = Table(
        overall_markdown(evidence.overall_metrics), ("All diagnoses together, one view.",), ("overall_metrics",)
    )
    return Section("results-overall", "Overall, one view", (Text(text), table))


def _views(evidence: Evidence) -> Section:
    most = evidence.most_views
    kept = ", ".join(str(views["count"]) for views in evidence.view_calibration["views"])
    text = (
        "Where there is time, the app averages the logits of several flips and turns of the same picture. There is "
        "one model, no ensemble of several. Each number of views has its own temperature and thresholds from "
        f"validation; those in the app: {kept}. A gain is measured on the same pictures, so its interval says whether "
        f"it helps. With {most} views the accuracy changes by "
        f"{cell(evidence.view_metrics, count=most, metric='accuracy_gain')}."
        if most > 1
        else "No number of flips and turns gained enough on validation: the app looks at one view."
    )
    return Section(
        "results-views",
        "Several views",
        (
            Text(text),
            Table(views_markdown(evidence.view_metrics), ("By number of views averaged.",), ("view_metrics",)),
            Picture(
                view_figure(evidence.view_metrics, GAINS),
                "Gain over one view, with 95 % intervals.",
                "Points with intervals for two, four and eight views: gain in accuracy, balanced accuracy and melanoma "
                "ROC-AUC over one view; the numbers are in the table above.",
                ("view_metrics",),
            ),
        ),
    )


def _classes(evidence: Evidence) -> Section:
    text = (
        "Each diagnosis against all others. Recall is sensitivity, and precision the positive predictive value at "
        "this data set's mix, by the most probable diagnosis, not by the operating points. PR-AUC is average "
        "precision; chance gets the share of the diagnosis."
    )
    return Section(
        "results-classes",
        "Each diagnosis",
        (
            Text(text),
            Table(per_class_markdown(evidence.per_class_metrics), ("By diagnosis.",), ("per_class_metrics",)),
            Picture(
                per_class_figure(evidence.per_class_metrics),
                "Recall and F1 of each diagnosis, with 95 % intervals.",
                "Bars of recall and of F1 for the seven diagnoses with interval lines; the numbers are in the table "
                "above.",
                ("per_class_metrics",),
            ),
            Picture(
                per_class_figure(evidence.per_class_metrics, ("roc_auc", "pr_auc")),
                "Areas under the ROC and the precision-recall curve of each diagnosis, with 95 % intervals.",
                "Bars of ROC-AUC and PR-AUC for the seven diagnoses with interval lines; the numbers are in the "
                "table above.",
                ("per_class_metrics",),
            ),
        ),
    )


def _confusion(evidence: Evidence) -> Section:
    counts = evidence.confusion_matrix
    text = f"The commonest wrong answers: {_worst_confusions(counts)}. No picture was reviewed by a clinician."
    rows = counts.rename_axis("true \\ predicted").reset_index().astype(str)
    return Section(
        "results-confusion",
        "Confusions",
        (
            Text(text),
            Table(
                markdown(rows, right=tuple(counts.columns)),
                ("Pictures by true diagnosis (rows) and most probable diagnosis (columns).",),
                ("confusion_matrix",),
            ),
            Picture(
                confusion_figure(counts),
                "Confusion matrix: shares of the true diagnosis, and pictures.",
                "Seven by seven cells, shaded by the share of the true diagnosis; the counts are in the table above.",
                ("confusion_matrix",),
            ),
        ),
    )


def _worst_confusions(counts: pd.DataFrame, shown: int = 3) -> str:
    """Return the commonest wrong pairs of a confusion matrix in words."""
    wrong = [
        (int(pictures), str(true), str(predicted))
        for true, row in counts.iterrows()
        for predicted, pictures in row.items()
        if true != predicted
    ]
    most = sorted(wrong, key=lambda one: -one[0])[:shown]
    return ", ".join(f"{true} taken for {predicted} ({pictures} pictures)" for pictures, true, predicted in most)


def _points(evidence: Evidence) -> Section:
    overall = evidence.overall_metrics
    rows = []
    for name, point in evidence.operating_points.items():
        rows.append(
            {
                "rule": name,
                "threshold": three(point["threshold"]),
                "aimed at, on validation": f"{point['target_of']} {percent(point['target'])}",
                "sensitivity on validation": three(point["sensitivity"]),
                "specificity on validation": three(point["specificity"]),
                "sensitivity on test": cell(overall, metric=f"{name}_sensitivity"),
                "specificity on test": cell(overall, metric=f"{name}_specificity"),
            }
        )
    text = (
        "The rules that the app calls by. The thresholds come from validation, where their figures flatter; those on "
        "test are what to expect on pictures like these. Predictive values are not shown: they depend on how common "
        "cancer is where the app is used, see [Net benefit](#results-decision)."
    )
    return Section(
        "results-points",
        "Operating points",
        (
            Text(text),
            Table(table_of(rows), ("Operating points of a single view.",), ("operating_points", "overall_metrics")),
            Picture(
                _roc(evidence),
                "ROC curves on validation, with the chosen points. The areas on test are in the tables above.",
                "Two ROC curves on validation, of melanoma and of referral, each with its operating point marked.",
                ("predictions", "calibrated_temperature", "operating_points"),
            ),
        ),
    )


def _roc(evidence: Evidence) -> Figure:
    side, temperature = (
        labelled_logits(evidence.predictions, VALIDATION),
        evidence.calibrated_temperature["temperature"],
    )
    curves = {
        name: (*scored(side, temperature, name), OperatingPoint(**point))
        for name, point in evidence.operating_points.items()
    }
    return roc_figure(curves)


def _calibration(evidence: Evidence) -> Section:
    overall, temperature = evidence.overall_metrics, evidence.calibrated_temperature["temperature"]
    text = (
        f"One temperature, {three(temperature)}, fitted on validation. On test the ECE is "
        f"{cell(overall, metric='ece_before')} before and {cell(overall, metric='ece_after')} after. An ECE is above "
        "0 even for probabilities that are right, and its interval need not hold it: by chance alone, right ones "
        f"would have {' '.join(numbers(evidence.ece_by_chance))} on as many pictures. One temperature calibrates the "
        "likeliest diagnosis; for each diagnosis by itself read the second figure. Intercept above 0: commoner than "
        "its probability says. Slope below 1: high probabilities too high, low ones too low."
    )
    return Section(
        "results-calibration",
        "Calibration",
        (
            Text(text),
            Picture(
                reliability_figure(evidence.reliability),
                "Reliability before and after calibration; numbers are pictures, lines 95 % intervals.",
                "Two reliability diagrams of fifteen bins: accuracy against confidence, beside the diagonal.",
                ("reliability",),
            ),
            Table(
                class_calibration_markdown(evidence.class_calibration),
                ("Calibration of each diagnosis against the rest.",),
                ("class_calibration",),
            ),
            Picture(
                class_calibration_figure(evidence.class_calibration),
                "Reliability of each diagnosis, on square-root axes, in bins of equally many pictures.",
                "Seven reliability diagrams, one a diagnosis, with intervals; the measures are in the table above.",
                ("class_calibration",),
            ),
        ),
    )


def _refusing(evidence: Evidence) -> Section:
    text = (
        "How the model would do if it refused the pictures that it is least sure of. The app does not do that: it is "
        "shown to judge whether its confidence can be trusted. A malignant lesion that the model is sure is benign "
        "is not refused by any of this."
    )
    return Section(
        "results-risk-coverage",
        "Risk and coverage",
        (
            Text(text),
            Table(
                selective_markdown(evidence.risk_coverage),
                ("What refusing the least certain tenth changes.", "Area under the risk-coverage curve; 0 is best."),
                ("risk_coverage",),
            ),
            Picture(
                risk_coverage_figure(evidence.risk_coverage),
                "Risk, macro F1 and missed melanomas by the share answered; who is refused.",
                "Curves of risk, macro F1 and melanoma miss rate over coverage, and bars of the share of each "
                "diagnosis that would be refused.",
                ("risk_coverage",),
            ),
        ),
    )


def _decision(evidence: Evidence) -> Section:
    table, prevalence = evidence.decision_curve, evidence.chosen.clinic_prevalence
    here, clinic = (useful_range(table, population) for population in (DATA_SET, CLINIC_CORRECTED))
    text = (
        "Net benefit of referring by the probability of malignancy, against referring everyone and no one (Vickers "
        "and Elkin, 2006). The threshold is the risk from which on one would refer: at 5 % a missed malignant lesion "
        "weighs as much as 19 needless referrals. The model is better than both, with its whole interval, "
        f"{_between(here)} at the data set's share of malignant lesions, and {_between(clinic)} when the pictures are "
        f"weighted to {percent(prevalence)} malignant, with probabilities corrected for it. The second is a what-if: "
        "it takes for granted that a clinic's lesions look like these."
    )
    return Section(
        "results-decision",
        "Net benefit",
        (
            Text(text),
            Table(decision_markdown(table), ("Net benefit at some thresholds.",), ("decision_curve",)),
            Picture(
                decision_figure(table, prevalence),
                "Decision curves with 95 % intervals.",
                "Two line charts of net benefit over threshold probability: the model, referring all, referring "
                "none; at the data set's prevalence and at a clinic's.",
                ("decision_curve",),
            ),
        ),
    )


def _between(found: tuple[float, float] | None) -> str:
    return f"between thresholds of {percent(found[0])} and {percent(found[1])}" if found else "at no threshold"


def _refusals(evidence: Evidence) -> Section:
    text = (
        "Good pictures should be refused seldom, the others always. The bad ones are made of the test pictures (out "
        "of focus, dark, bright, bare skin) or show something else. The limits are those of good validation pictures, "
        "but what is measured, and how much each limit may refuse, was developed with bad pictures of these kinds in "
        "view: the shares flatter. What people will photograph in a clinic is not among them."
    )
    table = Table(
        refusals_markdown(evidence.refusal_rates), ("Pictures refused by the input guard.",), ("refusal_rates",)
    )
    return Section("results-refusals", "Refused pictures", (Text(text), table))
