import numpy as np
import pytest
import sklearn.metrics

from derma_assets.calibration.labelled_logits import LabelledLogits, labelled_logits
from derma_assets.calibration.reliability import expected_calibration_error
from derma_assets.calibration.temperature import softmax
from derma_assets.diagnoses import CODES, MALIGNANT, MELANOMA
from derma_assets.evaluation import tables
from derma_assets.evaluation.report import LABELS, metrics_markdown
from derma_assets_tests.calibration.made_up import predictions

POINTS = {"melanoma": {"threshold": 0.3}, "referral": {"threshold": 0.1}}


@pytest.fixture(scope="module")
def test_side() -> LabelledLogits:
    return labelled_logits(predictions(), "test")


def test_overall_table(test_side: LabelledLogits) -> None:
    table = tables.overall_table(test_side, 1.5, POINTS, resamples=200, seed=1)
    assert list(table.columns) == ["metric", "value", "low", "high"]
    assert set(table["metric"]) <= set(LABELS), "the report has a label for each"
    values = table.set_index("metric")["value"]
    predicted = test_side.logits.argmax(axis=1)
    assert values["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(test_side.labels, predicted))
    assert values["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(test_side.labels, predicted, average="macro"))
    assert values["balanced_accuracy"] == values["macro_recall"]
    score = softmax(test_side.logits, 1.5)[:, CODES.index(MELANOMA)]
    melanoma = test_side.labels == CODES.index(MELANOMA)
    assert values["melanoma_roc_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(melanoma, score))
    assert values["melanoma_sensitivity"] == pytest.approx((score >= 0.3)[melanoma].mean())
    assert values["melanoma_specificity"] == pytest.approx((score < 0.3)[~melanoma].mean())
    probabilities = softmax(test_side.logits, 1.5)
    codes = np.array(CODES)
    malignant = np.isin(codes[test_side.labels], MALIGNANT)
    refers = (score >= 0.3) | (probabilities[:, np.isin(codes, MALIGNANT)].sum(axis=1) >= 0.1)
    assert values["verdict_sensitivity"] == pytest.approx(refers[malignant].mean())
    assert values["verdict_specificity"] == pytest.approx((~refers)[~malignant].mean())
    before = expected_calibration_error(softmax(test_side.logits), test_side.labels)
    assert values["ece_before"] == pytest.approx(before)
    shares = table[~table["metric"].str.startswith(("ece", "nll", "brier"))]
    assert (shares["low"] <= shares["value"]).all()
    assert (shares["value"] <= shares["high"]).all()


def test_per_class_table(test_side: LabelledLogits) -> None:
    table = tables.per_class_table(test_side, 1.5, resamples=200, seed=1)
    assert table.drop_duplicates("dx")["dx"].tolist() == list(CODES)
    assert (table.groupby("dx")["metric"].apply(list).map(tuple) == tables.PER_CLASS_METRICS).all()
    assert table.drop_duplicates("dx")["images"].sum() == len(test_side.labels)
    assert table.drop_duplicates("dx")["lesions"].sum() == 7 * 12
    probabilities = softmax(test_side.logits, 1.5)
    for index, code in enumerate(CODES):
        values = table[table["dx"] == code].set_index("metric")["value"]
        expected = sklearn.metrics.roc_auc_score(test_side.labels == index, probabilities[:, index])
        assert values["roc_auc"] == pytest.approx(expected)


def test_confusion_and_reliability_count_every_picture(test_side: LabelledLogits) -> None:
    confusion = tables.confusion_table(test_side)
    assert (list(confusion.index), list(confusion.columns)) == (list(CODES), list(CODES))
    np.testing.assert_array_equal(confusion.sum(axis=1), np.bincount(test_side.labels, minlength=7))
    reliability = tables.reliability_with_intervals(test_side, 1.5, resamples=100, seed=1)
    assert reliability.groupby("calibration", sort=False)["images"].sum().to_dict() == {
        "before": len(test_side.labels),
        "after": len(test_side.labels),
    }
    filled = reliability[reliability["images"] > 0]
    assert (filled["low"] <= filled["accuracy"] + 1e-9).all()
    assert (filled["accuracy"] <= filled["high"] + 1e-9).all()


def test_calibration_gaps_are_the_expected_calibration_errors(test_side: LabelledLogits) -> None:
    gaps = tables.calibration_gaps(tables.reliability_with_intervals(test_side, 1.5, resamples=100, seed=1))
    for name, temperature in (("before", 1.0), ("after", 1.5)):
        expected = expected_calibration_error(softmax(test_side.logits, temperature), test_side.labels)
        assert gaps[name] == pytest.approx(expected)


def test_the_report_names_every_metric_and_diagnosis(test_side: LabelledLogits) -> None:
    overall = tables.overall_table(test_side, 1.5, POINTS, resamples=100, seed=1)
    per_class = tables.per_class_table(test_side, 1.5, resamples=100, seed=1)
    overall.loc[0, ["low", "high"]] = np.nan
    text = metrics_markdown(overall, per_class, "Nothing here is real.")
    assert "Nothing here is real." in text
    assert all(LABELS[metric] in text for metric in overall["metric"])
    assert all(f"({code})" in text for code in CODES)
    assert f"{len(test_side.labels)} pictures of 84 lesions" in text
    assert "(n/a to n/a)" in text
    widths = {len(line) for line in text.splitlines() if line.startswith("|") and "ROC-AUC  " in line}
    assert len(widths) <= 2
