"""What a release measured, in the sentences of README.md: the same release, the same sentences."""

import textwrap
from collections.abc import Mapping

import pandas as pd

from derma_assets.diagnoses import MELANOMA
from derma_assets.evaluation import selective
from derma_assets.evaluation.activation_maps import GRAD_CAM
from derma_assets.evaluation.decision_curve import CLINIC, CLINIC_CORRECTED, DATA_SET, THRESHOLDS, useful_range
from derma_assets.evaluation.explanations import ALL, BASELINE, PREDICTED
from derma_assets.evaluation.markdown import percent, three
from derma_assets.evaluation.model_card.wording import cell, row_of

# The tables that the sentences are of.
TOLD_OF = {"risk_coverage", "decision_curve", "explanations"}
_WIDTH = 120


def in_words(tables: Mapping[str, pd.DataFrame], clinic_prevalence: float) -> str:
    """Return what refusing, referring and the heat maps come to, a paragraph each.

    Args:
        tables: Those of `TOLD_OF`, by name.
        clinic_prevalence: That the decision curve is weighted to.
    """
    paragraphs = (
        _refusing(tables["risk_coverage"]),
        _referring(tables["decision_curve"], clinic_prevalence),
        _maps(tables["explanations"]),
    )
    return "\n\n".join(
        textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False) for text in paragraphs
    )


def _refusing(table: pd.DataFrame) -> str:
    of_chosen = table[table["confidence"] == selective.CHOSEN]
    refusal = of_chosen[of_chosen["part"] == selective.REFUSAL]
    refused = 1 - float(row_of(refusal, name="after", metric="coverage")["value"])
    melanomas = row_of(of_chosen, part=selective.REFUSED_BY_DX, name=MELANOMA)
    return (
        f"Refusing the least certain pictures ({percent(refused)} of test) would move accuracy by "
        f"{cell(refusal, name='difference', metric='accuracy')}. It would refuse {percent(melanomas['value'])} of the "
        "melanomas, and move the share of malignant lesions that are neither refused nor referred by "
        f"{cell(refusal, name='difference', metric='malignant_missed')}."
    )


def _referring(table: pd.DataFrame, prevalence: float) -> str:
    return (
        "Referring by the model is better than referring everyone and than referring no one, at thresholds "
        f"{_range(table, DATA_SET)}; weighted to {percent(prevalence)} malignant, as in a clinic, "
        f"{_range(table, CLINIC)}, and with probabilities corrected for that {_range(table, CLINIC_CORRECTED)} (the "
        f"whole interval of the gain is above 0; thresholds up to {percent(max(THRESHOLDS))} were looked at)."
    )


def _range(table: pd.DataFrame, population: str) -> str:
    found = useful_range(table, population)
    return f"from {percent(found[0])} to {percent(found[1])}" if found else "of no height"


def _maps(table: pd.DataFrame) -> str:
    ours = table[(table["group"] == ALL) & (table["map"] == GRAD_CAM) & (table["of"] == PREDICTED)]
    centre = row_of(table, group=ALL, map=BASELINE, metric="centre_heat_inside")
    return (
        f"Of the model's heat maps {cell(ours, metric='heat_inside')} lies inside the lesion's mask, of a Gaussian in "
        f"the middle of the picture {three(centre['value'])}: a difference of {cell(ours, metric='heat_over_centre')}."
    )
