"""Runs of the graph as processes of their own, to be killed at any moment and looked at while they go on."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from derma_assets_tests.running import BIN, ROOT, environment

# The whole way from the files to the served bundle, with as little to compute as it allows.
TO_THE_RELEASE = "*released_bundle,training_history"
EPOCHS = 6
SMALL = {
    "DERMA_DATASET": "sample",
    "DERMA_EPOCHS": str(EPOCHS),
    "DERMA_IMAGE_SIZE": "64",
    "DERMA_BOOTSTRAP_RESAMPLES": "100",
}


@dataclass
class Run:
    """One run of `dagster asset materialize`, in a process group of its own.

    Attributes:
        process: The command.
        log: File that it writes to.
    """

    process: subprocess.Popen[bytes]
    log: Path
    began: float = field(default_factory=time.monotonic)

    def said(self) -> str:
        """Return all that it has said so far."""
        return self.log.read_text(errors="replace")

    def wait(self, timeout: float = 1200) -> str:
        """Wait for its end, and return what it said; its exit status must be 0."""
        self.process.wait(timeout)
        assert self.process.returncode == 0, self.said()[-6000:]
        return self.said()

    def fails(self, timeout: float = 1200) -> str:
        """Wait for its end, and return what it said; its exit status must not be 0."""
        self.process.wait(timeout)
        assert self.process.returncode != 0, self.said()[-6000:]
        return self.said()

    def until(self, happens: Callable[[], bool], timeout: float = 600) -> bool:
        """Wait until something happens, and return true; false if the run has ended before."""
        ends = time.monotonic() + timeout
        while time.monotonic() < ends:
            if happens():
                return True
            if self.process.poll() is not None:
                return happens()
            time.sleep(0.01)
        raise AssertionError(f"has not happened in {timeout:.0f} s:\n{self.said()[-4000:]}")

    def started(self, step: str) -> bool:
        """Return whether a step has been started."""
        return any(line.split()[1:] == ["started", step] for line in self.said().splitlines())

    def now_in(self) -> str:
        """Return the step that was started last, or "start" before the first one."""
        steps = [line.split()[2] for line in self.said().splitlines() if line.split()[1:2] == ["started"]]
        return steps[-1] if steps else "start"

    def kill(self) -> None:
        """Send SIGKILL to the process, to its group, and to what has left its group."""
        below = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        for end in (lambda: os.killpg(self.process.pid, signal.SIGKILL), *(one.kill for one in below)):
            try:
                end()
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        self.process.wait(60)


@contextmanager
def begin(
    data_dir: Path,
    selection: str = TO_THE_RELEASE,
    settings: Mapping[str, str] = SMALL,
    *,
    home: Path | None = None,
    within: Sequence[str] = (),
) -> Iterator[Run]:
    """Start a run on the store below `data_dir`, and kill it with -9 in the end, if it has not ended by then.

    Args:
        data_dir: Folder that the run writes to.
        selection: What to materialize.
        settings: Of the run.
        home: Folder of Dagster's own files and of the log; the data folder if there is none.
        within: Words in front of the command.
    """
    home = home or data_dir
    words = ["dagster", "asset", "materialize", "-m", "derma_assets.definitions", "--select", selection]
    console = ["--config-json", '{"loggers": {"console": {}}}']
    log = home / "logs" / f"{time.monotonic_ns()}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*within, str(BIN / words[0]), *words[1:], *console],
            cwd=ROOT,
            env=environment(home, **settings) | {"DERMA_DATA_DIR": str(data_dir)},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    run = Run(process, log)
    try:
        yield run
    finally:
        run.kill()


def seconds_of_steps(said: str) -> dict[str, float]:
    """Return how long each step took, from what a run has said."""
    lines = [line.split() for line in said.splitlines()]
    return {words[2]: float(words[4]) for words in lines if words[1:2] == ["done"]}
