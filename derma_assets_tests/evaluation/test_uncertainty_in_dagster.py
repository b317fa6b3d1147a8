from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from derma_assets.calibration import assets as calibration_assets
from derma_assets.diagnoses import DISCLAIMER
from derma_assets.evaluation import assets as evaluation_assets
from derma_assets.evaluation import uncertainty_assets
from derma_assets.evaluation.report import stored_report
from derma_assets.storage.io_managers import io_managers
from derma_assets_tests.calibration.made_up import predictions
from derma_assets_tests.small_study import stand_ins

TABLES = {"risk_coverage": "curve", "decision_curve": "curve", "class_calibration": "diagrams"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def run(store: Path) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [
            *stand_ins({"predictions": ("table", predictions(skill=1.5))}),
            calibration_assets.calibrated_temperature,
            calibration_assets.operating_points,
            evaluation_assets.overall_metrics,
            evaluation_assets.per_class_metrics,
            *(getattr(uncertainty_assets, name) for name in TABLES),
        ],
        resources=io_managers(store),
    )


@pytest.mark.parametrize(("name", "figure"), TABLES.items())
def test_tables_are_stored_and_shown(name: str, figure: str, run: dg.ExecuteInProcessResult, store: Path) -> None:
    stored = pd.read_parquet(store / f"{name}.parquet")
    pd.testing.assert_frame_equal(stored, run.output_for_node(name), check_index_type=False)
    (materialized,) = run.asset_materializations_for_node(name)
    assert "image/png" in str(materialized.metadata[figure].value)
    assert DISCLAIMER in str(materialized.metadata["note"].value)
    assert any(isinstance(value, dg.FloatMetadataValue) for value in materialized.metadata.values())


def test_before_refusing_the_figures_are_the_overall_ones(run: dg.ExecuteInProcessResult) -> None:
    table = run.output_for_node("risk_coverage")
    before = table[table["name"] == "before"].set_index("metric")
    overall = run.output_for_node("overall_metrics").set_index("metric")
    shared = ["accuracy", "balanced_accuracy", "macro_f1", "referral_sensitivity", "melanoma_sensitivity"]
    columns = ["value", "low", "high"]
    pd.testing.assert_frame_equal(before.loc[shared, columns], overall.loc[shared, columns], check_names=False)


def test_the_report_prints_them(run: dg.ExecuteInProcessResult, store: Path) -> None:
    text = stored_report(store, DISCLAIMER)
    for title in ("Refusing the least certain", "Net benefit of referral", "Calibration of each diagnosis"):
        assert f"## {title}" in text
