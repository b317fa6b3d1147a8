"""The whole graph on the embedded sample, run once by `dagster asset materialize`."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from derma_assets_tests.running import environment, materialize, said


@dataclass(frozen=True)
class SampleRun:
    """A finished run: what it was told, where it wrote, and what it said."""

    env: dict[str, str]
    data_dir: Path
    output: str

    @property
    def store(self) -> Path:
        return self.data_dir / "store" / "sample"

    @property
    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(self.data_dir / "dagster_home"))


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    data_dir = tmp_path_factory.mktemp("data")
    # A time of two runs is no time to speak of, but that they are measured is all that is asked here.
    env = environment(data_dir, DERMA_LATENCY_RUNS="2")
    run = materialize("*", env)
    assert run.returncode == 0, said(run)[-4000:]
    return SampleRun(env, data_dir, said(run))
