"""The gate lets a model pass that is as good, and names the figure of one that is not."""

import numpy as np
import pandas as pd
import pytest

from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.calibration.summary import choose_operating_points, temperature_document
from derma_assets.errors import InputError
from derma_assets.promotion.gate import MARGINS, Judged, compare, reasons
from derma_assets.settings import DATASET_DEFAULTS
from derma_assets_tests.calibration.made_up import predictions


def judged(table: pd.DataFrame) -> Judged:
    validation = labelled_logits(table, "validation")
    temperature = temperature_document(validation)["temperature"]
    points = choose_operating_points(validation, temperature, 0.95, 0.95)
    return Judged(table, temperature, {name: point.document() for name, point in points.items()})


GOOD = predictions(lesions_per_class=30, skill=3.0)


def test_a_model_beside_itself_passes_with_no_gain() -> None:
    table = compare(judged(GOOD), judged(GOOD.sample(frac=1, random_state=1)), resamples=100, seed=1)
    assert table["figure"].tolist() == list(MARGINS)
    assert table["passed"].all()
    np.testing.assert_allclose(table[["gain", "low", "high"]].to_numpy(), 0, atol=1e-9)
    assert reasons(table) == []


def test_a_worse_model_is_stopped_and_the_figure_is_named() -> None:
    worse = predictions(lesions_per_class=30, skill=1.2)
    table = compare(judged(worse), judged(GOOD), resamples=200, seed=1).set_index("figure")
    assert not table.at["macro_f1", "passed"]
    assert table.at["macro_f1", "high"] < 0
    assert any(line.startswith("macro_f1 is") and "worse" in line for line in reasons(table.reset_index()))
    better = compare(judged(GOOD), judged(worse), resamples=200, seed=1).set_index("figure")
    assert better.at["macro_f1", "passed"]
    assert better.at["macro_f1", "gain"] == pytest.approx(-table.at["macro_f1", "gain"])


def test_overconfidence_is_stopped_by_its_calibration_error() -> None:
    served = judged(GOOD)
    hot = Judged(GOOD, served.temperature / 20, served.points)
    table = compare(hot, served, resamples=100, seed=1).set_index("figure")
    assert table.at["macro_f1", "passed"]
    assert not table.at["ece", "passed"]
    assert table.at["ece", "gain"] == pytest.approx(table.at["ece", "served"] - table.at["ece", "challenger"])


def test_a_threshold_that_misses_melanomas_is_stopped() -> None:
    served = judged(GOOD)
    strict = {**served.points, "melanoma": {**served.points["melanoma"], "threshold": 1.1}}
    table = compare(Judged(GOOD, served.temperature, strict), served, resamples=100, seed=1).set_index("figure")
    assert not table.at["melanoma_sensitivity", "passed"]
    assert table.at["melanoma_sensitivity", "challenger"] == 0
    assert table.drop("melanoma_sensitivity")["passed"].all()


def test_only_lesions_that_both_were_tested_on_count() -> None:
    # The data have grown: what the served model never saw tells nothing about which of the two is better.
    known = GOOD[~GOOD["lesion_id"].str.endswith(("_0", "_1", "_2"))]
    whole = compare(judged(GOOD), judged(known), resamples=100, seed=1)
    same = compare(Judged(known, judged(GOOD).temperature, judged(GOOD).points), judged(known), resamples=100, seed=1)
    pd.testing.assert_frame_equal(whole, same)


def test_nothing_in_common_is_said() -> None:
    other = GOOD.assign(image_id="x" + GOOD["image_id"])
    with pytest.raises(InputError, match="no test picture in common"):
        compare(judged(GOOD), judged(other), resamples=100, seed=1)


def test_another_margin_lets_another_loss_pass() -> None:
    served, wide = judged(GOOD), DATASET_DEFAULTS["sample"]["ece_margin"]
    hotter = Judged(GOOD, served.temperature / 2, served.points)
    default = compare(hotter, served, resamples=100, seed=1).set_index("figure")
    wider = compare(hotter, served, resamples=100, seed=1, margins={**MARGINS, "ece": wide}).set_index("figure")
    assert default.index[~default["passed"]].tolist() == ["ece"]
    assert wider["passed"].all()
    assert wider.at["ece", "gain"] == default.at["ece", "gain"]
    assert (default.at["ece", "margin"], wider.at["ece", "margin"]) == (MARGINS["ece"], wide)
