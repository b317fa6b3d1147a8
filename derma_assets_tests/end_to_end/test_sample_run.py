"""What a person finds after the graph has run on the embedded sample."""

import json
import shutil

import dagster as dg
import keras
import numpy as np
import pandas as pd
import pytest

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.definitions import defs
from derma_assets.diagnoses import CODES, DISCLAIMER
from derma_assets.storage.fingerprint import sha256_of_files
from derma_assets_tests.end_to_end.conftest import SampleRun
from derma_assets_tests.running import command, materialize, said

GRAPH = defs.resolve_asset_graph()
ASSETS = sorted(key.to_user_string() for key in GRAPH.get_all_asset_keys())


@pytest.mark.parametrize("asset", ASSETS)
def test_every_asset_is_stored_versioned_and_worth_looking_at(sample_run: SampleRun, asset: str) -> None:
    event = sample_run.instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event is not None
    materialization = event.asset_materialization
    assert materialization is not None
    assert materialization.tags is not None
    assert materialization.tags["dagster/data_version"]
    assert materialization.tags["dagster/code_version"]
    stored = [value for value in materialization.metadata.values() if isinstance(value, dg.PathMetadataValue)]
    assert any(str(value.path).startswith(str(sample_run.store)) for value in stored)
    numbers = (dg.IntMetadataValue, dg.FloatMetadataValue)
    assert any(isinstance(value, numbers) for value in materialization.metadata.values())


@pytest.mark.parametrize("asset", ASSETS)
def test_every_asset_has_a_group_kinds_an_owner_and_a_description(asset: str) -> None:
    node = GRAPH.get(dg.AssetKey(asset))
    assert node.group_name != "default"
    assert node.kinds
    assert node.owners
    first, _, how_to_read = (node.description or "").partition("\n\n")
    assert len(first) > 20
    assert len(how_to_read) > 40
    assert node.code_version


def test_every_check_ran_and_none_failed(sample_run: SampleRun) -> None:
    records = sample_run.instance.event_log_storage.get_latest_asset_check_execution_by_key(
        list(GRAPH.asset_check_keys)
    )
    assert len(records) == len(GRAPH.asset_check_keys)
    evaluations = {key: record.event.dagster_event.asset_check_evaluation_data for key, record in records.items()}
    failed = [
        key.to_user_string()
        for key, evaluation in evaluations.items()
        if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR
    ]
    assert not failed
    parity = evaluations[dg.AssetCheckKey(dg.AssetKey("tfjs_bundle"), "browser_parity")]
    assert parity.passed, parity.description


def test_the_console_shows_progress_and_no_start_up_noise(sample_run: SampleRun) -> None:
    assert "training, epoch" in sample_run.output
    for noise in ("computation placer", "Unable to register", "oneDNN", "absl::InitializeLog", "pkg_resources"):
        assert noise not in sample_run.output


def test_the_sample_can_be_learnt_and_says_that_it_is_synthetic(sample_run: SampleRun) -> None:
    overall = pd.read_parquet(sample_run.store / "overall_metrics.parquet").set_index("metric")
    assert overall.loc["accuracy", "value"] > 0.5
    assert overall.loc["accuracy", "low"] <= overall.loc["accuracy", "value"] <= overall.loc["accuracy", "high"]
    report = command("python", "-m", "derma_assets.evaluation.report", env=sample_run.env)
    assert report.returncode == 0, said(report)
    assert DISCLAIMER in report.stdout
    assert "synthetic" in report.stdout


def test_the_predictions_are_the_stored_models(sample_run: SampleRun) -> None:
    model = keras.models.load_model(sample_run.store / "trained_model.keras", compile=False)
    arrays = ImageArrays.open(sample_run.store / "image_arrays")
    predictions = pd.read_parquet(sample_run.store / "predictions.parquet")
    pictures = arrays.pixels[arrays.rows(predictions["image_id"].tolist())]
    expected = model.predict(pictures.astype(np.float32), verbose=0)
    np.testing.assert_allclose(predictions[[f"logit_{code}" for code in CODES]], expected, atol=1e-4)
    splits = pd.read_parquet(sample_run.store / "grouped_splits.parquet").set_index("image_id")
    assert (splits.loc[predictions["image_id"], "split"].to_numpy() == predictions["split"]).all()
    assert set(predictions["split"]) == {"validation", "test"}


def test_the_bundles_manifest_lists_every_file(sample_run: SampleRun) -> None:
    bundle = sample_run.store / "tfjs_bundle"
    manifest = json.loads((bundle / "manifest.json").read_text())
    listed = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    # These two tell of all the others.
    found = {name: digest for name, digest in sha256_of_files(bundle).items() if name not in ("manifest.json", "sw.js")}
    assert listed == found


def test_a_part_of_the_lineage_reads_what_earlier_runs_stored(sample_run: SampleRun) -> None:
    before = {path: path.stat().st_mtime_ns for path in sample_run.store.glob("*.parquet")}
    # Nothing has changed since: without being forced they would give again what is stored.
    forced = sample_run.env | {"DERMA_FORCE": "1"}
    # One asset, one with the layer below it, one with all layers.
    run = materialize("grouped_splits,view_predictions+,decision_curve*", forced)
    assert run.returncode == 0, said(run)[-4000:]
    changed = {path.stem for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert {"grouped_splits", "view_predictions", "view_metrics", "decision_curve"} <= changed
    assert {"raw_metadata", "raw_images", "leakage_audit", "predictions", "overall_metrics"}.isdisjoint(changed)


# They look at files, at the training that came after them, or at what is served: cheaply.
LOOKS_EVERY_TIME = {"raw_metadata", "raw_images", "training_set", "data_drift", "released_bundle"}


@pytest.mark.slow
def test_training_anew_gives_the_same_data_versions_and_a_second_run_computes_nothing(sample_run: SampleRun) -> None:
    def last() -> dict[str, dg.AssetMaterialization]:
        events = {asset: sample_run.instance.get_latest_materialization_event(dg.AssetKey(asset)) for asset in ASSETS}
        return {asset: event.asset_materialization for asset, event in events.items()}  # type: ignore[misc, union-attr]

    def versions() -> dict[str, str]:
        return {asset: said.tags["dagster/data_version"] for asset, said in last().items()}  # type: ignore[index]

    before = versions()
    shutil.rmtree(sample_run.store / ".unfinished" / "training")
    run = materialize("trained_model,training_history", sample_run.env | {"DERMA_FORCE": "1"})
    assert run.returncode == 0, said(run)[-4000:]
    assert versions() == before
    run = materialize("*", sample_run.env)
    assert run.returncode == 0, said(run)[-4000:]
    assert versions() == before
    reused = {asset for asset, event in last().items() if event.metadata["reused"].value is True}
    assert reused == set(ASSETS) - LOOKS_EVERY_TIME
