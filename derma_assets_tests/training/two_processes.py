"""A store small enough to train on in seconds, and the two processes that train on it over the loopback."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from derma_assets.dataset.image_arrays import FORMAT, INDEX, PIXELS
from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION
from derma_assets.diagnoses import CODES
from derma_assets_tests.running import ROOT, TIMEOUT_S, environment, free_port

SIZE, TRAIN, VALIDATION = 32, 41, 15


def write_store(data_dir: Path) -> None:
    """Write `image_arrays` and `training_set` of coloured squares, as the graph stores them."""
    store = data_dir / "store" / "sample"
    folder = store / "image_arrays"
    folder.mkdir(parents=True)
    count = TRAIN + VALIDATION
    labels = np.arange(count) % len(CODES)
    colours = np.random.default_rng(5).integers(0, 256, (len(CODES), 3))
    noise = np.random.default_rng(1).integers(-20, 20, (count, SIZE, SIZE, 3))
    np.save(folder / PIXELS, np.clip(colours[labels][:, None, None] + noise, 0, 255).astype(np.uint8))
    names = [f"picture_{number}" for number in range(count)]
    pd.DataFrame({"image_id": names, "sha256": names}).to_parquet(folder / INDEX)
    (folder / FORMAT).write_text(json.dumps({"size": SIZE, "preprocessing": PREPROCESSING_VERSION}))
    sides = ["train"] * TRAIN + ["validation"] * VALIDATION
    splits = pd.DataFrame({"image_id": names, "lesion_id": names, "dx": [CODES[label] for label in labels]})
    splits.assign(split=sides, fold=0, sha256=names).to_parquet(store / "training_set.parquet")


@dataclass(frozen=True)
class Pair:
    """Two processes on this machine that train on one store.

    Attributes:
        data_dir: Holds the store.
        settings: `DERMA_` settings of both.
        ports: Where they listen.
    """

    data_dir: Path
    settings: dict[str, str]
    ports: tuple[int, int]

    @classmethod
    def of(cls, data_dir: Path, **settings: str) -> "Pair":
        """Return two processes on ports that nothing listens on."""
        return cls(data_dir, settings, (free_port(), free_port()))

    def environment(self, index: int) -> dict[str, str]:
        """Return the environment of one of them."""
        workers = [f"127.0.0.1:{port}" for port in self.ports]
        config = json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
        return {**environment(self.data_dir, **self.settings), "TF_CONFIG": config, "PYTHONPATH": str(ROOT)}

    def start(self, index: int, *words: str, **settings: str) -> "subprocess.Popen[str]":
        """Start a Python module as one of them; what it says goes to one pipe."""
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env={**self.environment(index), **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start_worker(self, **settings: str) -> "subprocess.Popen[str]":
        """Start the command that takes part in the chief's training."""
        return self.start(1, "derma_assets.training.worker", **settings)

    def start_graph(self) -> "subprocess.Popen[str]":
        """Start the chief: the graph's step that trains, with everything it needs stored."""
        words = ("dagster", "asset", "materialize", "-m", "derma_assets.definitions")
        return self.start(0, *words, "--select", "trained_model,training_history")


def said(process: "subprocess.Popen[str]", timeout_s: float = TIMEOUT_S) -> str:
    """Return all that a process says until it ends; it is killed if that takes too long."""
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        output += f"\n(killed after {timeout_s} s)"
    return output


def survivors(processes: list[psutil.Process]) -> list[str]:
    """Return the command lines of the processes that have not ended half a minute from now.

    Whether its entry is still in the list of processes says nothing: some systems remove those of orphans late.
    """
    until = time.monotonic() + 30
    while (alive := [process for process in processes if not _has_ended(process)]) and time.monotonic() < until:
        time.sleep(0.1)
    return [" ".join(process.cmdline()) for process in alive]


def _has_ended(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
