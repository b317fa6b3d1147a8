"""A real `dagster dev` on a real instance, and what one can see of it from outside."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import dagster as dg

from derma_assets.promotion.served import current
from derma_assets.storage.paths import promoted_path
from derma_assets_tests.running import BIN, ROOT, free_port

_PATIENCE_S = 900
_T = TypeVar("_T")


@dataclass(frozen=True)
class Study:
    """A data folder, the instance in it, and the settings of whoever works on it."""

    data_dir: Path
    env: dict[str, str]

    @property
    def incoming(self) -> Path:
        return self.data_dir / "incoming" / "sample"

    @property
    def store(self) -> Path:
        return self.data_dir / "store" / "sample"

    @property
    def served(self) -> int | None:
        """Number of the bundle that is served."""
        now = current(promoted_path(self.data_dir, "sample"))
        return None if now is None else now.number

    def runs(self) -> list[dg.DagsterRun]:
        """Return all runs, the newest first."""
        with self._instance() as instance:
            return list(instance.get_runs())

    def run_ids(self) -> set[str]:
        """Return which runs there are."""
        return {run.run_id for run in self.runs()}

    def made(self, run: dg.DagsterRun, asset: str) -> dg.AssetMaterialization:
        """Return the materialization of an asset by a run."""
        with self._instance() as instance:
            logged = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        (made,) = (one.asset_materialization for one in logged if one.asset_materialization.label == asset)
        return made

    def last(self, asset: str) -> dg.AssetMaterialization:
        """Return the last materialization of an asset."""
        with self._instance() as instance:
            event = instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None, asset
        assert event.asset_materialization is not None, asset
        return event.asset_materialization

    def times_made(self, asset: str) -> int:
        """Return how many times an asset was materialized."""
        with self._instance() as instance:
            return len(instance.fetch_materializations(dg.AssetKey(asset), limit=100).records)

    def looks(self, sensor: str) -> list[str]:
        """Return what came of each look of a sensor, the newest first: why nothing, or the names of the runs."""
        with self._instance() as instance:
            states = [one for one in instance.all_instigator_state() if one.origin.instigator_name == sensor]
            return [
                tick.skip_reason or ", ".join(tick.run_ids)
                for state in states
                for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
            ]

    @contextmanager
    def _instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.DagsterInstance.from_config(str(self.data_dir / "dagster_home")) as instance:
            yield instance


@contextmanager
def dagster_dev(study: Study, **settings: str) -> Iterator[None]:
    """Run `dagster dev` meanwhile, and end it with all that it has started."""
    log = study.data_dir / "dagster_dev.log"
    words = ("dev", "-m", "derma_assets.definitions", "-h", "127.0.0.1", "-p", str(free_port()))
    with log.open("a") as output:
        server = subprocess.Popen(
            [str(BIN / "dagster"), *words],
            cwd=ROOT,
            env={**study.env, **settings},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
        assert server.poll() is None, log.read_text()[-4000:]
    finally:
        _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    """End a process and its group: servers of code, runs, browsers."""
    for how in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(server.pid, how)
            server.wait(timeout=20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def until(what: str, study: Study, found: Callable[[], _T | None]) -> _T:
    """Wait until `found` gives something that is true, and return it.

    Raises:
        AssertionError: it does not; the message has the last lines of the log.
    """
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        result = found()
        if result:
            return result
        failed = [run for run in study.runs() if run.status is dg.DagsterRunStatus.FAILURE]
        if failed and "fail" not in what:
            break
        time.sleep(1)
    said = json.dumps([(run.job_name, run.status.value, run.tags) for run in study.runs()], indent=1)
    log = (study.data_dir / "dagster_dev.log").read_text()
    raise AssertionError(f"{what}: not so\n{said}\n{study.looks('new_pictures')[:10]}\n{log[-6000:]}")
