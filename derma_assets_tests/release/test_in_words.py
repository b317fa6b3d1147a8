"""The sentences of README.md say what the tables hold."""

import pandas as pd

from derma_assets.release.in_words import TOLD_OF, in_words

REFUSING = pd.DataFrame(
    [
        ("refusal", "max_probability", "after", "coverage", 0.9, 0.88, 0.92),
        ("refusal", "max_probability", "difference", "accuracy", 0.041, 0.03, 0.05),
        ("refusal", "max_probability", "difference", "malignant_missed", -0.012, -0.02, 0.0),
        ("refusal", "margin", "difference", "accuracy", 0.9, 0.9, 0.9),
        ("refused_by_diagnosis", "max_probability", "mel", "refused", 0.25, 0.2, 0.3),
        ("refused_by_diagnosis", "max_probability", "nv", "refused", 0.05, 0.04, 0.06),
    ],
    columns=["part", "confidence", "name", "metric", "value", "low", "high"],
)
REFERRING = pd.DataFrame(
    [
        (population, "gain", threshold, "net_benefit", low)
        for population, lows in {
            "data_set": (-0.1, 0.1, 0.1, 0.1),
            "clinic": (-0.1, -0.1, -0.1, -0.1),
            "clinic_corrected": (0.1, 0.1, -0.1, 0.1),
        }.items()
        for threshold, low in zip((0.1, 0.2, 0.3, 0.4), lows, strict=True)
    ],
    columns=["population", "strategy", "threshold", "metric", "low"],
)
MAPS = pd.DataFrame(
    [
        ("baseline", "", "all", "centre_heat_inside", 0.55, 0.5, 0.6),
        ("grad_cam", "predicted", "all", "heat_inside", 0.48, 0.46, 0.5),
        ("grad_cam", "predicted", "all", "heat_over_centre", -0.07, -0.08, -0.06),
        ("grad_cam", "true", "all", "heat_inside", 0.9, 0.9, 0.9),
    ],
    columns=["map", "of", "group", "metric", "value", "low", "high"],
)


def test_each_sentence_has_the_figures_of_its_table() -> None:
    tables = {"risk_coverage": REFUSING, "decision_curve": REFERRING, "explanations": MAPS}
    assert tables.keys() == TOLD_OF
    refusing, referring, maps = (" ".join(text.split()) for text in in_words(tables, 0.03).split("\n\n"))
    assert "(10.0 % of test) would move accuracy by 0.041 (0.030 to 0.050)." in refusing
    assert "refuse 25.0 % of the melanomas" in refusing
    assert "nor referred by -0.012 (-0.020 to 0.000)" in refusing
    assert "at thresholds from 20.0 % to 40.0 %; weighted to 3.0 % malignant, as in a clinic, of no height" in referring
    assert "corrected for that from 10.0 % to 20.0 %" in referring
    assert "maps 0.480 (0.460 to 0.500) lies" in maps
    assert "picture 0.550: a difference of -0.070 (-0.080 to -0.060)" in maps
