"""Drift: pictures like the known ones raise no warning; another camera and another mix do."""

from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from derma_assets.calibration.familiarity import fit_familiarity
from derma_assets.calibration.input_guard import guard_with_limits, write_guard
from derma_assets.dataset.image_arrays import PIXELS, ImageArrays
from derma_assets.evaluation import drift_assets
from derma_assets.evaluation.drift import LEAST_ARRIVED, class_shares, drift_table, measured
from derma_assets.evaluation.drift_checks import arrivals_are_like_what_is_known
from derma_assets.settings import Settings
from derma_assets.storage.io_managers import io_managers
from derma_assets.storage.paths import stored_path
from derma_assets.storage.records import record_of, record_path, writing_record
from derma_assets.training.predictor import feature_extractor
from derma_assets_tests import small_study
from derma_assets_tests.small_study import LAYER


def side(count: int, seed: int, shift: float = 0.0, dx: tuple[str, ...] = ("nv", "nv", "mel")) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    return pd.DataFrame({"dx": draw.choice(dx, count), "red": draw.normal(150 + shift, 20, count)})


def test_alike_is_no_drift() -> None:
    table = drift_table(side(500, 1), side(60, 2)).set_index("measure")
    assert not table["drifted"].any()
    assert table.loc["red", ["known", "arrived"]].tolist() == pytest.approx([150, 150], abs=8)


def test_another_camera_is_drift_of_its_measure_alone() -> None:
    known, arrived = side(500, 1), side(60, 2, shift=25)
    table = drift_table(known, arrived).set_index("measure")
    assert table["drifted"].to_dict() == {"diagnoses": False, "red": True}
    assert table.at["red", "distance"] == pytest.approx(ks_2samp(known["red"], arrived["red"]).statistic)


def test_another_mix_is_drift_of_the_diagnoses() -> None:
    table = drift_table(side(500, 1), side(60, 2, dx=("bcc",))).set_index("measure")
    assert table["drifted"].to_dict() == {"diagnoses": True, "red": False}
    assert table.at["diagnoses", "distance"] == pytest.approx(1)


def test_few_pictures_say_nothing() -> None:
    assert not drift_table(side(500, 1), side(LEAST_ARRIVED - 1, 2, shift=100, dx=("bcc",)))["drifted"].any()
    assert len(drift_table(side(500, 1), side(0, 2))) == 1


def test_shares_by_hand() -> None:
    shares = class_shares(pd.Series(["nv", "nv", "mel", "bcc"]), pd.Series(["mel"])).set_index("dx")
    assert shares.loc[["nv", "mel", "df"]].to_numpy().tolist() == [[0.5, 0], [0.25, 1], [0, 0]]


def test_measures_of_a_plain_picture() -> None:
    picture = np.broadcast_to(np.array([10, 20, 30], np.uint8), (1, 32, 32, 3))
    (row,) = measured(picture).to_dict("records")
    assert (row["red"], row["green"], row["blue"], row["sharpness"]) == (10, 20, 30, 0)


def test_the_asset_compares_with_the_last_training_set_and_the_check_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Settings(dataset="sample", data_dir=tmp_path)
    monkeypatch.setattr(drift_assets, "settings", lambda: chosen)
    splits = small_study.splits()
    files = splits[["image_id"]].assign(width=64, height=48)
    files.loc[files.index[:40], ["width", "height"]] = [640, 480]
    upstream = small_study.stand_ins(
        {
            "image_arrays": ("folder", small_study.write_arrays(tmp_path / "arrays")),
            "grouped_splits": ("table", splits),
            "raw_images": ("table", files),
        }
    )
    parts = [*upstream, drift_assets.data_drift, arrivals_are_like_what_is_known]

    def run() -> dg.ExecuteInProcessResult:
        return dg.materialize(parts, resources=io_managers(chosen.store))

    first = run()
    assert first.get_asset_check_evaluations()[0].passed
    (event,) = first.asset_materializations_for_node("data_drift")
    assert event.metadata["arrived"].value == 0
    splits.iloc[40:].to_parquet(chosen.store / "training_set.parquet")
    second = run()
    (event,) = second.asset_materializations_for_node("data_drift")
    assert event.metadata["arrived"].value == 40
    (check,) = second.get_asset_check_evaluations()
    assert not check.passed
    assert "width (distance 1.00)" in (check.description or "")
    assert check.severity == dg.AssetCheckSeverity.WARN


@pytest.fixture
def arrivals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[dg.AssetsDefinition]]:
    """A store with a model, its guard and its training set, and what 30 pictures that are new to them are made from."""
    chosen = Settings(dataset="sample", data_dir=tmp_path)
    monkeypatch.setattr(drift_assets, "settings", lambda: chosen)
    splits = small_study.splits()
    arrived = splits.index[:30]
    arrays = small_study.write_arrays(tmp_path / "arrays")
    pixels = np.load(arrays / PIXELS)
    known = ImageArrays.open(arrays).pixels[30:].copy()
    pixels[arrived] = np.random.default_rng(1).integers(0, 256, pixels[arrived].shape, dtype=np.uint8)
    np.save(arrays / PIXELS, pixels)
    features = feature_extractor(small_study.model(), LAYER)(known)
    guard = guard_with_limits(fit_familiarity(features, LAYER), known, features)[0]
    upstream = small_study.stand_ins(
        {
            "image_arrays": ("folder", arrays),
            "grouped_splits": ("table", splits),
            "raw_images": ("table", splits[["image_id"]].assign(width=64, height=48)),
            "trained_model": ("keras_model", small_study.model()),
            "training_set": ("table", splits.iloc[30:]),
        }
    )
    dg.materialize(upstream, resources=io_managers(chosen.store))
    write_guard(stored_path(chosen.store, "input_guard", "folder"), guard)
    return chosen.store, [*upstream, drift_assets.data_drift]


def test_the_asset_says_how_unfamiliar_what_arrives_is_to_the_model_that_it_would_teach(
    arrivals: tuple[Path, list[dg.AssetsDefinition]],
) -> None:
    store, parts = arrivals
    with dg.DagsterInstance.ephemeral() as instance:
        resources = io_managers(store)
        run = dg.materialize(parts, selection="data_drift", resources=resources, instance=instance)
        warned = [log.user_message for log in instance.all_logs(run.run_id)]
    table = run.output_for_node("data_drift").set_index("measure")
    assert table.at["unfamiliarity", "drifted"]
    assert table.at["unfamiliarity", "arrived"] > table.at["unfamiliarity", "known"]
    (event,) = run.asset_materializations_for_node("data_drift")
    assert event.metadata["unfamiliarity_distance"].value == pytest.approx(table.at["unfamiliarity", "distance"])
    assert event.metadata["measures_drifted"].value >= 1
    # Said by the asset itself, which training_set waits for: before a training, whenever the check is run.
    assert any("unlike what the model was trained on" in line for line in warned)


def test_it_is_made_again_only_when_what_it_compares_with_has_changed(
    arrivals: tuple[Path, list[dg.AssetsDefinition]],
) -> None:
    store, parts = arrivals

    def keep_record(asset: str, kind: str, data_version: str) -> None:
        with writing_record(record_path(store, asset)) as keep:
            keep(record_of(stored_path(store, asset, kind), "", data_version))

    def reused() -> bool:
        run = dg.materialize(parts, selection="data_drift", resources=io_managers(store), instance=instance)
        (event,) = run.asset_materializations_for_node("data_drift")
        return bool(event.metadata["reused"].value)

    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(parts[:-1], resources=io_managers(store), instance=instance)
        for asset, kind in (("image_arrays", "folder"), ("grouped_splits", "table"), ("raw_images", "table")):
            keep_record(asset, kind, "as it is")
        keep_record("training_set", "table", "of the first training")
        assert [reused(), reused()] == [False, True]
        keep_record("training_set", "table", "of the second training")
        assert [reused(), reused()] == [False, True]


@pytest.mark.parametrize(
    ("asset", "kind", "arrived"),
    [("training_set", "table", 0), ("input_guard", "folder", 30), ("trained_model", "keras_model", 30)],
)
def test_what_is_damaged_is_not_compared_with(
    asset: str,
    kind: str,
    arrived: int,
    arrivals: tuple[Path, list[dg.AssetsDefinition]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, parts = arrivals
    stored = stored_path(store, asset, kind)
    with writing_record(record_path(store, asset)) as keep:
        keep(record_of(stored, "", None))
    file = stored if stored.is_file() else max(stored.iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    run = dg.materialize(parts, selection="data_drift", resources=io_managers(store))
    (event,) = run.asset_materializations_for_node("data_drift")
    assert event.metadata["arrived"].value == arrived
    assert "unfamiliarity" not in set(run.output_for_node("data_drift")["measure"])
    assert f"{stored} is damaged" in caplog.text
