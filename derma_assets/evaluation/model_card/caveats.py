"""The sections of a model card about what can go wrong, and for whom."""

import pandas as pd

from derma_assets.diagnoses import DIAGNOSES, MELANOMA
from derma_assets.evaluation.activation_maps import GRAD_CAM
from derma_assets.evaluation.decision_curve import CLINIC, DATA_SET, useful_range
from derma_assets.evaluation.explanations import ALL, PREDICTED
from derma_assets.evaluation.markdown import percent, three
from derma_assets.evaluation.model_card.blocks import Section, Text
from derma_assets.evaluation.model_card.evidence import Evidence
from derma_assets.evaluation.model_card.wording import bullets, cell, in_hundred, row_of
from derma_assets.evaluation.report import KIND_LABELS

_NAMES = {diagnosis.code: diagnosis.name for diagnosis in DIAGNOSES}


def limits(evidence: Evidence) -> Section:
    """Return the limits and risks that the measured numbers show."""
    points = [
        _missed(evidence),
        _needless(evidence),
        _few(evidence),
        _weakest(evidence),
        _confidence(evidence),
        _population(evidence),
        _heat(evidence),
        _refused(evidence),
        _gap(evidence),
        "**One collection.** Model and test come from the same pictures, cameras and clinics, and "
        f"{evidence.leakage_audit.shape[0]:,} look-alike pairs lie across sides. Elsewhere it is likely to do worse; "
        + (
            "see [External validation](#external)." if evidence.studies.external else "how much worse was not measured."
        ),
        "**One training.** The intervals do not hold the chance of the training: see "
        "[Cross-validation](#selection-folds).",
        "**Picture, not patient.** History, change over time, touch and the rest of the skin are unknown to it.",
        "**People.** How staff act on the verdict, whether they trust it too much or too little, was not studied.",
    ]
    return Section("limits", "Limits and risks", (Text(bullets(points)),))


def _missed(evidence: Evidence) -> str:
    overall = evidence.overall_metrics
    verdict = row_of(overall, metric="verdict_sensitivity")
    melanoma = row_of(overall, metric="melanoma_sensitivity")
    return (
        f"**Cancers are missed.** Of pictures of malignant lesions, {in_hundred(verdict, missed=True)} are not "
        f"referred; by the rule for melanoma alone, {in_hundred(melanoma, missed=True)} pictures of melanomas are not "
        "called melanoma."
    )


def _needless(evidence: Evidence) -> str:
    found = row_of(evidence.overall_metrics, metric="verdict_specificity")
    return (
        f"**Needless referrals.** {in_hundred(found, missed=True)} pictures of benign lesions are referred. Where "
        "cancer is rare, most referred lesions will be benign."
    )


def _few(evidence: Evidence) -> str:
    support = evidence.per_class_metrics.drop_duplicates("dx").set_index("dx")["lesions"]
    rarest = str(support.idxmin())
    return (
        f"**Few lesions.** Test has {support[MELANOMA]} melanomas and {support[rarest]} lesions of the rarest "
        f"diagnosis ({_NAMES[rarest].lower()}): look at the intervals, not at the values."
    )


def _weakest(evidence: Evidence) -> str:
    recall = evidence.per_class_metrics[evidence.per_class_metrics["metric"] == "recall"].set_index("dx")
    weakest = str(recall["value"].idxmin())
    return (
        f"**The weakest diagnosis** is {_NAMES[weakest].lower()}, with a recall of "
        f"{cell(evidence.per_class_metrics, dx=weakest, metric='recall')}."
    )


def _confidence(evidence: Evidence) -> str:
    return (
        f"**Confidence.** The calibration error on test is {cell(evidence.overall_metrics, metric='ece_after')} at "
        "this mix of diagnoses; at a clinic's mix probabilities of cancer are too high, and the model does not know "
        "the clinic."
    )


def _population(evidence: Evidence) -> str:
    here, clinic = (useful_range(evidence.decision_curve, population) for population in (DATA_SET, CLINIC))
    span = f"at thresholds from {percent(here[0])} to {percent(here[1])}" if here else "at no threshold"
    there = f"only from {percent(clinic[0])} to {percent(clinic[1])}" if clinic else "at none"
    return (
        f"**Prevalence.** With its probabilities as they are, the model beats referring all or none {span} on this "
        f"data set, and {there} where {percent(evidence.chosen.clinic_prevalence)} of the lesions are malignant."
    )


def _heat(evidence: Evidence) -> str:
    found = row_of(evidence.explanations, map=GRAD_CAM, of=PREDICTED, group=ALL, metric="heat_over_centre")
    shown = f"{three(found['value'])} ({three(found['low'])} to {three(found['high'])})"
    if pd.notna(found["low"]) and found["low"] > 0:
        said = f"lie on the lesion more than the picture's centre does, by {shown}, which is no proof of a right reason"
    else:
        said = f"are not shown to lie on the lesion more than the picture's centre does ({shown}): do not rely on them"
    return f"**Heat maps** {said}."


def _refused(evidence: Evidence) -> str:
    bad = evidence.refusal_rates[evidence.refusal_rates["bad"]]
    worst = bad.sort_values("share", kind="stable").iloc[0]
    kind = KIND_LABELS[str(worst["kind"])].lower()
    return (
        f"**Wrong pictures.** Of the kinds tried, the guard lets through {kind} most often: "
        f"{percent(1 - worst['share'])} ({percent(1 - worst['high'])} to {percent(1 - worst['low'])}). A lesion of an "
        "eighth kind looks like a lesion to it."
    )


def _gap(evidence: Evidence) -> str:
    gaps = evidence.subgroup_gaps
    clear = gaps[(gaps["groups"] > 1) & (gaps["low"] > 0) & (gaps["metric"] == "referral_sensitivity")]
    if clear.empty:
        return (
            "**Groups.** No gap in referral sensitivity between groups is shown, for want of malignant lesions in "
            "most of them as much as for want of a gap. Dark skin is not in the data."
        )
    largest = clear.sort_values("value", kind="stable").iloc[-1]
    lowest, highest = (str(largest[end]).replace("_", " ") for end in ("lowest_group", "highest_group"))
    attribute = str(largest["attribute"]).replace("_", " ")
    return (
        f"**Groups.** The largest gap in referral sensitivity is by {attribute}, from {lowest} "
        f"({three(largest['lowest'])}) to {highest} ({three(largest['highest'])}): {three(largest['value'])} "
        f"({three(largest['low'])} to {three(largest['high'])}). Dark skin is not in the data."
    )


def ethics(evidence: Evidence) -> Section:
    """Return the ethical considerations."""
    data = (
        "The pictures are generated: no person is in the data."
        if evidence.chosen.synthetic
        else "The pictures were collected in care and published without what identifies patients, under CC BY-NC 4.0; "
        "ethical approval is that of the data set's authors (see their paper). This project has asked for none of "
        "its own, and no patient or member of the public took part in it."
    )
    points = [
        data,
        "**Privacy.** Pictures are analysed on the device and never sent; a history of cases is kept there only if "
        "the user asks for it.",
        "**Fairness.** Nothing was done in training to make groups more alike; gaps were only measured. People with "
        "dark skin, whose melanomas are found later already, are the ones the model is untested on: it must not be "
        "rolled out as if it served them.",
        "**Automation.** Staff may stop looking themselves. The page says *decision support, not a diagnosis* beside "
        "every result, and shows probabilities and a verdict that can be overruled.",
        "**Harm is not symmetric.** A missed melanoma can cost a life, a needless referral costs time and worry; the "
        "thresholds are a choice of values, made on validation, and each clinic has to make it anew.",
        "**Before any use with patients:** validation on the clinic's own pictures, a prospective study with its "
        "staff, approval by the authorities in charge, and someone who answers for it.",
    ]
    return Section("ethics", "Ethical considerations", (Text(bullets(points)),))
