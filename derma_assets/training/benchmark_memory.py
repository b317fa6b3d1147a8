"""`python -m derma_assets.training.benchmark_memory train|predict`: how much memory a process and all it starts hold.

Run as a program it does a little of one stage on all stored pictures, to be watched by `watched`. It is watched from
outside, since what a process is told of itself (`getrusage`) starts with the peak of the process that started it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

import derma_assets
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.source import locate_dataset
from derma_assets.errors import InputError, UserError, told_to_the_user
from derma_assets.settings import Settings, settings
from derma_assets.splits.grouped_splits import TRAIN, VALIDATION
from derma_assets.storage.paths import how_to_store
from derma_assets.storage.published import fetched_path
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training.fit import fit
from derma_assets.training.hardware import chosen_precision
from derma_assets.training.labelled_pictures import labelled_pictures
from derma_assets.training.predictor import Predictor
from derma_assets.training.recipe import RECIPES
from derma_assets.training.train import BackboneChoice

STEPS = 20
TRAIN_STAGE, PREDICT_STAGE, WHOLE_GRAPH = "train", "predict", "graph"
_EVERY_S = 0.2


@dataclass(frozen=True)
class Peak:
    """The most memory that was resident.

    Attributes:
        largest_process: Bytes of the process that held most at any time, its peak as Linux keeps it.
        together: Bytes of all processes at once; what they share is counted once (in each, but on Linux).
        seconds: How long it all took.
    """

    largest_process: int
    together: int
    seconds: float


def watched(command: Sequence[str], environment: Mapping[str, str]) -> Peak:
    """Run a command to its end and return how much memory it and all processes below it held.

    Raises:
        UserError: the command failed.
    """
    began = time.monotonic()
    process = subprocess.Popen(command, env=dict(environment))
    peaks: dict[int, int] = {}
    together = 0
    try:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            held = 0
            for one in _tree(root):
                with suppress(psutil.Error, OSError):
                    resident = one.memory_info().rss
                    held += _share_held(one, resident)
                    peaks[one.pid] = max(peaks.get(one.pid, 0), resident, _peak_so_far(one.pid))
            together = max(together, held)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_EVERY_S)
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        raise UserError(f"`{' '.join(command)}` failed with exit status {process.returncode}; it says why above")
    largest = max(peaks.values(), default=0)
    return Peak(largest, max(together, largest), time.monotonic() - began)


def _tree(root: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return [root, *root.children(recursive=True)]
    return []


def _share_held(process: psutil.Process, resident: int) -> int:
    """Return the memory that a process holds, of what it shares with others its share; where that is not known, all."""
    known = process.memory_full_info() if psutil.LINUX else None
    return int(getattr(known, "pss", resident))


def _peak_so_far(process: int) -> int:
    """Return the highest resident memory of a process since its program started, where the system keeps it."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def peaks(chosen: Settings) -> dict[str, Peak]:
    """Materialize every asset in a store of its own, then train and predict in it, and return the peak of each.

    The store is removed afterwards.

    Raises:
        UserError: a run failed.
    """
    dataset = locate_dataset(chosen)
    chosen.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=chosen.root, prefix="benchmark-") as folder:
        home = Path(folder) / "dagster_home"
        home.mkdir()
        shutil.copy(Path(derma_assets.__file__).parent / "automation" / "dagster.yaml", home)
        environment = {**os.environ, "DERMA_DATA_DIR": folder, "DERMA_STORAGE": "", "DAGSTER_HOME": str(home)}
        if not chosen.is_synthetic:
            environment["DERMA_HAM10000_DIR"] = str(dataset.folder.absolute())
        graph = ["dagster", "asset", "materialize", "-m", "derma_assets.definitions", "--select", "*"]
        graph += ["--config-json", '{"loggers": {"console": {}}}']  # says how far it is
        commands = {
            WHOLE_GRAPH: graph,
            **{stage: ["derma_assets.training.benchmark_memory", stage] for stage in (TRAIN_STAGE, PREDICT_STAGE)},
        }
        return {what: watched([sys.executable, "-m", *words], environment) for what, words in commands.items()}


def _stored(chosen: Settings, asset: str, io_manager_key: str) -> Path:
    path = fetched_path(chosen.store, asset, io_manager_key)
    if not path.exists():
        raise InputError(how_to_store(asset, path))
    return path


def _train(chosen: Settings, arrays: ImageArrays, splits: pd.DataFrame) -> None:
    recipe = RECIPES[chosen.recipe].model_copy(update={"epochs": 1})
    train = labelled_pictures(arrays, splits[splits["split"] == TRAIN])
    validation = labelled_pictures(arrays, splits[splits["split"] == VALIDATION])
    model = BackboneChoice.of(chosen).build(arrays.size, recipe.dropout, chosen.seed)
    some = np.random.default_rng(0).permutation(len(train.rows))[: STEPS * recipe.batch_size]
    with tempfile.TemporaryDirectory() as folder:
        fit(
            model,
            arrays.pixels,
            (train.rows[some], train.labels[some]),
            (validation.rows, validation.labels),
            recipe,
            seed=chosen.seed,
            state_path=Path(folder) / "state.npz",
            precision=chosen_precision(chosen.precision),
        )


def _predict(chosen: Settings, arrays: ImageArrays, splits: pd.DataFrame) -> None:
    model = import_keras().models.load_model(_stored(chosen, "trained_model", "keras_model"), compile=False)
    Predictor(model)(arrays.pixels, labelled_pictures(arrays, splits[splits["split"] != TRAIN]).rows)


@told_to_the_user
def main(arguments: list[str] | None = None) -> None:
    """Do the stage that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m derma_assets.training.benchmark_memory", description=__doc__)
    parser.add_argument("stage", choices=[TRAIN_STAGE, PREDICT_STAGE])
    stage = {TRAIN_STAGE: _train, PREDICT_STAGE: _predict}[parser.parse_args(arguments).stage]
    chosen = settings()
    arrays = ImageArrays.open(_stored(chosen, "image_arrays", "folder"))
    for batch in arrays.pixels.batches():  # reads every picture, as an epoch does
        batch.max()
    stage(chosen, arrays, pd.read_parquet(_stored(chosen, "grouped_splits", "table")))


if __name__ == "__main__":
    sys.exit(main())
