import shutil
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from derma_assets.calibration import assets as calibration_assets
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.lesion_masks import build_lesion_masks
from derma_assets.diagnoses import CODES, DISCLAIMER
from derma_assets.errors import InputError
from derma_assets.evaluation import assets, explanation_assets, subgroup_assets
from derma_assets.evaluation.report import stored_report
from derma_assets.storage.io_managers import io_managers
from derma_assets.storage.paths import building_folder
from derma_assets.training.predictions import predictions_table
from derma_assets.training.predictor import Predictor
from derma_assets_tests.calibration.made_up import metadata, predictions, skin_tones, view_predictions
from derma_assets_tests.small_study import model, pictures, splits, stand_ins, upstream

TABLES = ["overall_metrics", "per_class_metrics", "confusion_matrix", "reliability", "view_metrics"]
SUBGROUP_TABLES = ["subgroup_metrics", "subgroup_gaps"]
ALL_TABLES = [*TABLES, *SUBGROUP_TABLES]
UPSTREAM = {
    "predictions": ("table", predictions()),
    "view_predictions": ("table", view_predictions()),
    "raw_metadata": ("table", metadata()),
    "skin_tone": ("table", skin_tones()),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def run(store: Path) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [
            *stand_ins(UPSTREAM),
            calibration_assets.calibrated_temperature,
            calibration_assets.operating_points,
            calibration_assets.view_calibration,
            *(getattr(assets, name) for name in TABLES),
            *(getattr(subgroup_assets, name) for name in SUBGROUP_TABLES),
        ],
        resources=io_managers(store),
    )


@pytest.mark.parametrize("name", ALL_TABLES)
def test_the_table_is_stored_as_it_was_made(name: str, run: dg.ExecuteInProcessResult, store: Path) -> None:
    stored = pd.read_parquet(store / f"{name}.parquet")
    pd.testing.assert_frame_equal(stored, run.output_for_node(name), check_index_type=False)


@pytest.mark.parametrize("name", ALL_TABLES)
def test_metadata_carry_the_note(name: str, run: dg.ExecuteInProcessResult) -> None:
    (materialized,) = run.asset_materializations_for_node(name)
    assert DISCLAIMER in str(materialized.metadata["note"].value)
    assert materialized.tags
    assert materialized.tags["dagster/data_version"]


def test_numbers_and_figures_are_there_to_look_at(run: dg.ExecuteInProcessResult) -> None:
    found = {name: run.asset_materializations_for_node(name)[0].metadata for name in ALL_TABLES}
    assert 0 < found["overall_metrics"]["accuracy"].value <= 1
    assert found["overall_metrics"]["lesions"].value == 7 * 12
    assert "Balanced accuracy" in str(found["overall_metrics"]["table"].value)
    for name, key in (
        ("per_class_metrics", "recall_and_f1"),
        ("confusion_matrix", "figure"),
        ("reliability", "diagram"),
        ("subgroup_metrics", "figure"),
        ("subgroup_gaps", "figure"),
        ("view_metrics", "gains"),
    ):
        assert "image/png" in str(found[name][key].value)


def test_the_confusion_matrix_has_the_truth_as_index(run: dg.ExecuteInProcessResult, store: Path) -> None:
    stored = pd.read_parquet(store / "confusion_matrix.parquet")
    assert stored.index.name == "dx"
    assert list(stored.index) == list(stored.columns) == list(CODES)


def test_validation_pictures_change_nothing_but_temperature_and_thresholds(run: dg.ExecuteInProcessResult) -> None:
    on_test = predictions().query("split == 'test'")
    assert run.output_for_node("confusion_matrix").to_numpy().sum() == len(on_test)


def test_the_stored_report_is_printed_from_the_store(run: dg.ExecuteInProcessResult, store: Path) -> None:
    text = stored_report(store, DISCLAIMER)
    assert DISCLAIMER in text
    accuracy = run.output_for_node("overall_metrics").set_index("metric").at["accuracy", "value"]
    assert f"{accuracy:.3f}" in text
    assert "Gain in accuracy over one view" in text
    assert "confirmation: follow up" in text
    assert "Largest gaps between groups" in text
    assert "Pictures refused" not in text, "that table has not been stored"


def test_a_report_on_nothing_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"dagster asset materialize -m derma_assets.definitions --select '\*overall_metrics'"
    ):
        stored_report(tmp_path, DISCLAIMER)


def test_a_table_of_another_version_is_said_to_be_one(
    run: dg.ExecuteInProcessResult, store: Path, tmp_path: Path
) -> None:
    for asset in ("overall_metrics", "per_class_metrics"):
        shutil.copy(store / f"{asset}.parquet", tmp_path)
    pd.read_parquet(store / "view_metrics.parquet").drop(columns="low").to_parquet(tmp_path / "view_metrics.parquet")
    with pytest.raises(InputError, match=r"view_metrics was stored by another version.*'low'.*--select 'view_metrics'"):
        stored_report(tmp_path, DISCLAIMER)


def test_refusals_are_measured_on_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "store"
    monkeypatch.setattr(calibration_assets, "building_folder", lambda _, asset: building_folder(store, asset))
    result = dg.materialize(
        [*upstream(tmp_path), calibration_assets.input_guard, assets.refusal_rates], resources=io_managers(store)
    )
    table = result.output_for_node("refusal_rates").set_index("kind")
    assert (table["pictures"] == 21).all(), "as many of each kind as there are test pictures"
    assert table.index[~table["bad"]].tolist() == ["good"]
    assert table.at["dark", "share"] == table.at["blurred", "share"] == 1
    assert table.at["good", "share"] < 0.3
    (materialized,) = result.asset_materializations_for_node("refusal_rates")
    assert materialized.metadata["dark_refused"].value == 1
    assert "image/png" in str(materialized.metadata["examples"].value)


def test_explanations_are_of_the_test_pictures_and_shown(tmp_path: Path) -> None:
    study = splits()
    held_out = study[study["split"] != "train"]
    logits = Predictor(model())(pictures(), held_out.index.to_numpy())
    masks = tmp_path / "masks"
    upstream_assets = upstream(tmp_path)
    build_lesion_masks(ImageArrays.open(tmp_path / "arrays"), {}, masks, None)
    values = {
        "lesion_masks": ("folder", masks),
        "predictions": ("table", predictions_table(held_out, logits)),
        "calibrated_temperature": ("document", {"temperature": 1.0}),
    }
    result = dg.materialize(
        [*upstream_assets, *stand_ins(values), explanation_assets.explanations],
        resources=io_managers(tmp_path / "store"),
    )
    table = result.output_for_node("explanations")
    assert (table.loc[table["group"] == "all", "images"] == 21).all()
    assert table["value"].dropna().between(-1, 1).all()
    (materialized,) = result.asset_materializations_for_node("explanations")
    assert materialized.metadata["with_estimated_mask"].value == 21
    for name in ("by_diagnosis", "most_confident_right", "most_confident_wrong"):
        assert "data:image/" in str(materialized.metadata[name].value)
    assert "Coarse centre" in str(materialized.metadata["table"].value)
    assert DISCLAIMER in str(materialized.metadata["note"].value)
