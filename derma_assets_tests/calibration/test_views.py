import json
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from derma_assets.calibration import assets
from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.calibration.summary import choose_operating_points
from derma_assets.calibration.temperature import fit_temperature
from derma_assets.calibration.views import ViewCalibration, calibrate_views, views_document, worth_their_time
from derma_assets.storage.io_managers import io_managers
from derma_assets_tests.calibration.made_up import predictions, view_predictions
from derma_assets_tests.small_study import stand_ins


def calibrated(count: int, accuracy: float, melanoma_roc_auc: float) -> ViewCalibration:
    return ViewCalibration(count, {"count": count}, accuracy, melanoma_roc_auc)


@pytest.mark.parametrize(
    ("figures", "kept"),
    [
        ([(0.80, 0.90), (0.81, 0.91), (0.82, 0.92), (0.83, 0.93)], [1, 2, 4, 8]),
        ([(0.80, 0.90), (0.80, 0.90), (0.82, 0.90), (0.82, 0.92)], [1, 4, 8]),
        ([(0.80, 0.90), (0.82, 0.89), (0.79, 0.95), (0.79, 0.90)], [1]),
        ([(0.80, 0.90), (0.83, 0.93), (0.81, 0.94), (0.83, 0.94)], [1, 2, 8]),
        ([(0.800, 0.900), (0.801, 0.901), (0.810, 0.910), (0.811, 0.910)], [1, 4]),
    ],
)
def test_a_number_of_views_must_gain_and_not_lose(figures: list[tuple[float, float]], kept: list[int]) -> None:
    all_of_them = [calibrated(count, *of) for count, of in zip((1, 2, 4, 8), figures, strict=True)]
    assert [one.count for one in worth_their_time(all_of_them)] == kept


def test_one_view_is_calibrated_as_the_predictions_are() -> None:
    first, *_ = calibrate_views(view_predictions(), 0.95, 0.9)
    validation = labelled_logits(predictions(), "validation")
    temperature = fit_temperature(validation.logits, validation.labels)
    points = choose_operating_points(validation, temperature, 0.95, 0.9)
    assert first.document == {
        "count": 1,
        "temperature": temperature,
        "operating_points": {name: point.document() for name, point in points.items()},
    }


def test_test_pictures_change_nothing() -> None:
    table = view_predictions()
    only_validation = table[table["split"] == "validation"]
    assert calibrate_views(table, 0.95, 0.9) == calibrate_views(only_validation, 0.95, 0.9)


def test_the_document_tells_what_was_considered(tmp_path: Path) -> None:
    table = view_predictions()
    result = dg.materialize(
        [*stand_ins({"view_predictions": ("table", table)}), assets.view_calibration], resources=io_managers(tmp_path)
    )
    document = result.output_for_node("view_calibration")
    assert json.loads((tmp_path / "view_calibration.json").read_text()) == document
    assert document == views_document(calibrate_views(table, 0.95, 0.95))
    assert [one["count"] for one in document["considered"]] == [1, 2, 4, 8]
    assert document["views"][0]["count"] == 1
    assert {one["count"] for one in document["views"]} == {
        one["count"] for one in document["considered"] if one["kept"]
    }
    for one in document["views"]:
        assert set(one) == {"count", "temperature", "operating_points"}
        assert set(one["operating_points"]) == {"melanoma", "referral"}
    assert pd.DataFrame(document["considered"])["validation_accuracy"].between(0, 1).all()
