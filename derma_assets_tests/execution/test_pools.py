"""Two runs of a cluster never make one asset at the same time: an asset without partitions is a pool of its own."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
import yaml

from derma_assets.definitions import defs
from derma_assets.stage import stage_asset
from derma_assets.storage.io_managers import io_managers
from derma_assets_tests.running import ROOT

CONCURRENCY = yaml.safe_load((ROOT / "deploy/dagster.yaml").read_text())["concurrency"]


def test_a_step_waits_while_another_run_makes_the_asset(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    @stage_asset("dataset", code_version="1", io_manager_key="document")
    def alone() -> dg.MaterializeResult:
        return dg.MaterializeResult(value={"made": True})

    with dg.instance_for_test(overrides={"concurrency": CONCURRENCY}) as instance:
        pools = instance.event_log_storage
        pools.initialize_concurrency_limit_to_default("alone")
        assert pools.claim_concurrency_slot("alone", "another-run", "alone").is_claimed
        with ThreadPoolExecutor() as threads:
            run = threads.submit(dg.materialize, [alone], resources=io_managers(tmp_path / "store"), instance=instance)
            with pytest.raises(TimeoutError):
                run.result(timeout=5)
            assert not (tmp_path / "store" / "alone.json").exists()
            pools.free_concurrency_slots_for_run("another-run")
            assert run.result(timeout=600).success
        assert "blocked" in capfd.readouterr().err


def test_every_asset_without_partitions_is_a_pool() -> None:
    for made in defs.resolve_asset_graph().asset_nodes:
        if made.partitions_def is None and made.is_materializable:
            assert made.pools, made.key
