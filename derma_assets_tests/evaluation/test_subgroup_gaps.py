"""Gaps are fairlearn's, over groups with enough lesions to measure on, with the interval of the pair's difference."""

import numpy as np
import pandas as pd
import pytest

from derma_assets.calibration.labelled_logits import LabelledLogits
from derma_assets.diagnoses import CODES, MELANOMA
from derma_assets.evaluation.figures import gaps_figure
from derma_assets.evaluation.report import gaps_markdown
from derma_assets.evaluation.subgroup_gaps import subgroup_gaps
from derma_assets.evaluation.subgroups import ATTRIBUTES, SUBGROUP_METRICS

POINTS = {"melanoma": {"threshold": 0.5}, "referral": {"threshold": 0.5}}
MEL, NV = CODES.index(MELANOMA), CODES.index("nv")


def study(of_group: dict[str, tuple[int, int, int, int]]) -> tuple[LabelledLogits, pd.DataFrame]:
    """Return pictures, a lesion each: melanomas, those of them recognised, nevi, those of them recognised, by sex."""
    labels, predicted, sexes = [], [], []
    for sex, (melanomas, found, nevi, cleared) in of_group.items():
        labels += [MEL] * melanomas + [NV] * nevi
        predicted += [MEL] * found + [NV] * (melanomas - found) + [NV] * cleared + [MEL] * (nevi - cleared)
        sexes += [sex] * (melanomas + nevi)
    logits = 10 * np.eye(len(CODES))[predicted]
    groups = pd.DataFrame(dict.fromkeys(ATTRIBUTES, "unknown"), index=range(len(labels))).assign(sex=sexes)
    return LabelledLogits(logits, np.array(labels), np.arange(len(labels))), groups


def gaps_of(of_group: dict[str, tuple[int, int, int, int]]) -> pd.DataFrame:
    side, groups = study(of_group)
    table = subgroup_gaps(side, groups, 1.0, POINTS, resamples=300, seed=0)
    return table[table["attribute"] == "sex"].set_index("metric")


def test_gaps_by_hand() -> None:
    gaps = gaps_of({"male": (20, 10, 20, 18), "female": (10, 9, 40, 20)})
    assert gaps.index.tolist() == list(SUBGROUP_METRICS)
    sensitivity = gaps.loc["melanoma_sensitivity"]
    assert (sensitivity["lowest_group"], sensitivity["highest_group"]) == ("male", "female")
    assert (sensitivity["lowest"], sensitivity["highest"]) == (0.5, 0.9)
    assert sensitivity["value"] == pytest.approx(0.4)
    # Of all 30 melanomas 19 were recognised.
    assert sensitivity["to_overall"] == pytest.approx(0.9 - 19 / 30)
    assert 0 < sensitivity["low"] < 0.4 < sensitivity["high"]
    specificity = gaps.loc["melanoma_specificity"]
    assert (specificity["lowest_group"], specificity["highest_group"]) == ("female", "male")
    assert specificity["value"] == pytest.approx(0.4)
    assert gaps.at["accuracy", "value"] == pytest.approx(28 / 40 - 29 / 50)


def test_groups_alike_have_an_interval_around_no_gap() -> None:
    gaps = gaps_of({"male": (20, 11, 20, 10), "female": (20, 10, 20, 10)})
    assert gaps.at["melanoma_sensitivity", "value"] == pytest.approx(0.05)
    assert gaps.at["melanoma_sensitivity", "low"] < 0 < gaps.at["melanoma_sensitivity", "high"]


def test_only_groups_with_ten_lesions_to_measure_on_are_compared() -> None:
    gaps = gaps_of({"male": (20, 10, 20, 18), "female": (9, 0, 40, 20)})
    assert gaps.at["melanoma_sensitivity", "groups"] == 1
    assert np.isnan(gaps.at["melanoma_sensitivity", "value"])
    assert gaps.at["melanoma_sensitivity", "lowest_group"] == ""
    assert gaps.at["melanoma_specificity", "groups"] == 2


def test_what_is_left_over_is_no_group() -> None:
    gaps = gaps_of({"male": (20, 10, 20, 18), "female": (20, 10, 20, 18), "unknown": (20, 0, 20, 0)})
    assert (gaps["groups"] == 2).all()
    assert gaps.at["accuracy", "value"] == 0


def test_gaps_are_drawn_and_printed() -> None:
    side, groups = study({"male": (20, 10, 20, 18), "female": (10, 9, 40, 20)})
    table = subgroup_gaps(side, groups, 1.0, POINTS, resamples=20, seed=0)
    text = gaps_markdown(table)
    assert "male 0.500" in text
    assert text.count("too few lesions") == (len(ATTRIBUTES) - 1) * len(SUBGROUP_METRICS)
    drawing = gaps_figure(table)
    assert [label.get_text() for label in drawing.axes[0].get_yticklabels()] == [
        name.replace("_", " ") for name in ATTRIBUTES
    ]
    assert any("male / female" in one.get_text() for axes in drawing.axes for one in axes.texts)
