import copy
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from derma_assets.calibration import assets, checks
from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.errors import InputError
from derma_assets.storage.io_managers import io_managers
from derma_assets.training.predictions import LOGIT_COLUMNS
from derma_assets_tests.calibration.made_up import predictions

CHECKS = [checks.temperature_found, checks.operating_points_meet_targets, checks.operating_points_beat_chance]


def calibrate(table: pd.DataFrame, store: Path) -> dg.ExecuteInProcessResult:
    @dg.asset(name="predictions", io_manager_key="table")
    def made_up() -> pd.DataFrame:
        return table

    return dg.materialize(
        [made_up, assets.calibrated_temperature, assets.operating_points, *CHECKS],
        resources=io_managers(store),
        raise_on_error=False,
    )


def outcome(check: dg.AssetChecksDefinition, asset: str, value: dict[str, Any], store: Path) -> dg.AssetCheckEvaluation:
    @dg.asset(name=asset, io_manager_key="document")
    def made_up() -> dict[str, Any]:
        return value

    result = dg.materialize([made_up, check], resources=io_managers(store), raise_on_error=False)
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dg.ExecuteInProcessResult:
    return calibrate(predictions(), tmp_path_factory.mktemp("store"))


@pytest.fixture
def points(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    return copy.deepcopy(result.output_for_node("operating_points"))


def test_both_assets_from_predictions(result: dg.ExecuteInProcessResult) -> None:
    assert result.success
    temperature = result.output_for_node("calibrated_temperature")
    assert temperature["temperature"] > 1.2, "the made-up logits are overconfident"
    assert temperature["nll_after"] < temperature["nll_before"]
    assert temperature["ece_after"] < temperature["ece_before"]
    points = result.output_for_node("operating_points")
    assert set(points) == {"melanoma", "referral"}
    assert points["melanoma"]["specificity"] >= 0.95
    assert points["referral"]["sensitivity"] >= 0.95
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
    (materialized,) = result.asset_materializations_for_node("operating_points")
    assert "image/png" in str(materialized.metadata["roc"].value)


def test_test_pictures_change_nothing(result: dg.ExecuteInProcessResult, tmp_path: Path) -> None:
    changed = predictions()
    on_test = changed["split"] == "test"
    changed.loc[on_test, LOGIT_COLUMNS] = changed.loc[on_test, LOGIT_COLUMNS].to_numpy()[::-1]
    second = calibrate(changed, tmp_path)
    for asset in ("calibrated_temperature", "operating_points"):
        assert result.output_for_node(asset) == second.output_for_node(asset)


def test_a_missed_target_blocks(points: dict[str, Any], tmp_path: Path) -> None:
    points["referral"]["sensitivity"] = 0.9
    evaluation = outcome(checks.operating_points_meet_targets, "operating_points", points, tmp_path)
    assert not evaluation.passed
    assert "referral: sensitivity 0.900 instead of 0.950" in (evaluation.description or "")
    (spec,) = checks.operating_points_meet_targets.check_specs
    assert spec.blocking


def test_a_model_that_knows_nothing_warns(points: dict[str, Any], tmp_path: Path) -> None:
    points["melanoma"] |= {"sensitivity": 0.0, "specificity": 1.0}
    evaluation = outcome(checks.operating_points_beat_chance, "operating_points", points, tmp_path)
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_a_temperature_at_the_end_warns(tmp_path: Path) -> None:
    document = {"temperature": 20.0, "nll_before": 2.0, "nll_after": 1.9}
    evaluation = outcome(checks.temperature_found, "calibrated_temperature", document, tmp_path)
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_diverged_logits_name_a_picture() -> None:
    table = predictions()
    table.loc[3, LOGIT_COLUMNS[0]] = np.nan
    with pytest.raises(InputError, match=str(table.loc[3, "image_id"])):
        labelled_logits(table, "validation")


def test_a_missing_column_and_an_empty_side_are_named() -> None:
    with pytest.raises(InputError, match=LOGIT_COLUMNS[2]):
        labelled_logits(predictions().drop(columns=LOGIT_COLUMNS[2]), "test")
    with pytest.raises(InputError, match="no test pictures"):
        labelled_logits(predictions().query("split == 'validation'"), "test")
