"""A training with everything in a bucket, by `dagster asset materialize`; then another machine with an empty folder."""

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from derma_assets.storage.fingerprint import sha256_of_files
from derma_assets.storage.paths import store_path
from derma_assets_tests.running import command, environment, materialize, said
from derma_assets_tests.s3_server import ACCESS_KEY, SECRET_KEY, Fault
from derma_assets_tests.shared_bucket import Shared

pytestmark = pytest.mark.cluster

SELECTION = "*overall_metrics,*per_class_metrics"
# They look at files and times beside the graph, or, data_drift, at the training that the first run has made since.
ALWAYS_MADE = {"raw_metadata", "raw_images", "data_drift", "training_set"}
SMALL = {"DERMA_EPOCHS": "1", "DERMA_IMAGE_SIZE": "64", "DERMA_BOOTSTRAP_RESAMPLES": "100"}


def assets(data_dir: Path) -> dict[str, tuple[str, bool]]:
    """Return the data version of each asset of the last run, and whether it was reused."""
    with dg.DagsterInstance.from_config(str(data_dir / "dagster_home")) as instance:
        events = {key: instance.get_latest_materialization_event(key) for key in instance.all_asset_keys()}
        found = {key: event.asset_materialization for key, event in events.items() if event}
        return {
            key.path[-1]: (made.tags["dagster/data_version"], made.metadata["reused"].value is True)
            for key, made in found.items()
            if made is not None and made.tags
        }


def test_another_machine_reuses_all_of_a_training(shared: Shared, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    storage = {"DERMA_STORAGE": shared.address(), **shared.server.environment(shared.proxy.address), **SMALL}
    fault = shared.proxy.make(Fault("status", method="PUT", times=3))
    runs = [materialize(SELECTION, environment(a, **storage))]
    assert runs[0].returncode == 0, said(runs[0])[-4000:]
    assert fault.happened == 3
    runs.append(materialize(SELECTION, environment(b, **storage)))
    assert runs[1].returncode == 0, said(runs[1])[-4000:]

    first, second = assets(a), assets(b)
    assert {name: version for name, (version, _) in second.items()} == {
        name: version for name, (version, _) in first.items()
    }
    assert not any(reused for _, reused in first.values())
    assert {name for name, (_, reused) in second.items() if not reused} == ALWAYS_MADE

    copies = [store_path(data_dir, shared.address(), "sample") for data_dir in (a, b)]
    assert not (copies[1] / "overall_metrics.parquet").exists(), "nobody has read it there"
    report = command("python", "-m", "derma_assets.evaluation.report", env=environment(b, **storage))
    assert report.returncode == 0, said(report)
    assert "Balanced accuracy" in report.stdout
    hashes = [sha256_of_files(copy) for copy in copies]
    theirs = {name: one for name, one in hashes[1].items() if not name.startswith(".") and "raw_images" not in name}
    assert theirs.items() <= hashes[0].items()
    pd.testing.assert_frame_equal(*(pd.read_parquet(copy / "per_class_metrics.parquet") for copy in copies))

    everything = [*shared.objects().values(), *(said(run).encode() for run in [*runs, report])]
    everything += [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    for secret in (ACCESS_KEY, SECRET_KEY):
        assert not any(secret.encode() in content for content in everything)
