"""Two real processes train one model over the loopback: as one does, through a loss, and not by mistake."""

import json
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.errors import InputError
from derma_assets.training.checkpoint import TrainingState
from derma_assets.training.cluster import cluster_from_environment, cluster_of_chief
from derma_assets.training.recipe import named_recipe
from derma_assets.training.train import BackboneChoice, train_classifier
from derma_assets_tests.running import ROOT, TIMEOUT_S
from derma_assets_tests.training.two_processes import Pair, said, survivors, write_store

EPOCHS, LAYERS, SEED = 6, 12, 42

# Batches of 32 and 9 pictures: the last one cannot be halved. Dropout and augmentation are on, and the last two blocks'
# batch normalizations learn. From the released weights, since random ones turn rounding into other numbers: a change of
# each pixel by 3e-7 of itself changes the gradients of such a network by a hundredth.
RELEASE = ROOT / "data" / "release"
SETTINGS = {
    "DERMA_BACKBONE_WEIGHTS": "release",
    "DERMA_RELEASE_DIR": str(RELEASE),
    "DERMA_ALPHA": "1.0",
    "DERMA_DATASET": "sample",
    "DERMA_RECIPE": "default",
    "DERMA_IMAGE_SIZE": "32",
    "DERMA_TRAINABLE_LAYERS": str(LAYERS),
    "DERMA_EPOCHS": str(EPOCHS),
    "DERMA_SEED": str(SEED),
    "DERMA_PRECISION": "float32",
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The history of one process."""
    data_dir = tmp_path_factory.mktemp("alone")
    write_store(data_dir)
    store = data_dir / "store" / "sample"
    trained = train_classifier(
        ImageArrays.open(store / "image_arrays"),
        pd.read_parquet(store / "training_set.parquet"),
        recipe=named_recipe("default", EPOCHS),
        backbone=BackboneChoice(weights=str(RELEASE / "weights.npz"), alpha=1.0, trainable_layers=LAYERS),
        seed=SEED,
        state_folder=data_dir / "state",
        precision="float32",
    )
    return trained.history


@dataclass(frozen=True)
class Interrupted:
    """A training whose second process was killed, and its continuation."""

    chief_said: str
    chief_status: int
    epochs_kept: int
    states: list[str]
    survivors: list[str]
    continued: pd.DataFrame
    worker_said: str


def _state_files(data_dir: Path) -> list[Path]:
    folder = data_dir / "store" / "sample" / ".unfinished" / "training"
    return [path for path in sorted(folder.glob("*.npz")) if not path.name.startswith(".")]  # none half written


def _epochs_kept(data_dir: Path) -> int:
    files = _state_files(data_dir)
    return len(TrainingState.load(files[0]).history) if files else 0


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    chiefs, workers = tmp_path_factory.mktemp("chief"), tmp_path_factory.mktemp("worker")
    write_store(chiefs)
    write_store(workers)  # nothing is shared: the state has to come from the chief
    pair = Pair.of(chiefs, **SETTINGS)
    worker, chief = pair.start_worker(DERMA_DATA_DIR=str(workers)), pair.start_graph()
    started = time.monotonic()
    # That there is a state is enough to know: reading it would take as long as the epochs that are left.
    while not _state_files(chiefs) and chief.poll() is None and time.monotonic() - started < TIMEOUT_S:
        time.sleep(0.005)
    members = psutil.Process(worker.pid).children()
    worker.send_signal(signal.SIGKILL)
    chief_said = said(chief)
    chief_status = chief.returncode
    worker.communicate()
    kept, left = _epochs_kept(chiefs), survivors(members)
    states = [str(path.relative_to(workers)) for path in workers.rglob("*.npz")]

    worker, chief = pair.start_worker(DERMA_DATA_DIR=str(workers)), pair.start_graph()
    output = said(chief)
    assert chief.returncode == 0, output
    worker_said = said(worker)
    assert worker.returncode == 0, worker_said
    continued = pd.read_parquet(chiefs / "store" / "sample" / "training_history.parquet")
    return Interrupted(chief_said, chief_status, kept, states, left, continued, worker_said)


@pytest.mark.cluster
def test_a_lost_process_ends_the_other_with_what_to_do(interrupted: Interrupted) -> None:
    assert interrupted.chief_status == 1
    assert 1 <= interrupted.epochs_kept < EPOCHS
    assert "lost in training: worker 1 (127.0.0.1:" in interrupted.chief_said
    assert f"Kept: the training after epoch {interrupted.epochs_kept} of {EPOCHS}" in interrupted.chief_said
    assert "Start all processes again" in interrupted.chief_said
    assert "Traceback" not in interrupted.chief_said
    assert interrupted.survivors == []
    assert interrupted.states == []


@pytest.mark.cluster
def test_the_continued_training_is_that_of_one_process(interrupted: Interrupted, alone: pd.DataFrame) -> None:
    columns = ["loss", "accuracy", "macro_f1", "val_loss", "val_accuracy", "val_macro_f1", "learning_rate"]
    assert interrupted.continued["epoch"].tolist() == list(range(1, EPOCHS + 1))
    np.testing.assert_allclose(interrupted.continued[columns], alone[columns], rtol=5e-3)
    assert interrupted.continued["kept"].tolist() == alone["kept"].tolist()
    assert alone["loss"].nunique() == EPOCHS
    assert "the training is finished" in interrupted.worker_said


@pytest.mark.cluster
def test_processes_that_would_train_something_else_are_told_apart(tmp_path: Path) -> None:
    write_store(tmp_path)
    pair = Pair.of(tmp_path, **SETTINGS)
    worker, chief = pair.start_worker(DERMA_SEED="7", DERMA_TRAINABLE_LAYERS="3"), pair.start_graph()
    for process in (chief, worker):
        output = said(process)
        assert process.returncode == 1, output
        assert "worker 1 (127.0.0.1:" in output
        assert "has other seed than the chief: set DERMA_SEED alike" in output
        assert "has other backbone than the chief" in output
        assert "other recipe" not in output
    assert _state_files(tmp_path) == []


def test_a_chief_that_does_not_come_is_named(tmp_path: Path) -> None:
    write_store(tmp_path)
    pair = Pair.of(tmp_path, **SETTINGS)
    worker = pair.start_worker(DERMA_CLUSTER_WAIT_S="3")
    output = said(worker)
    assert worker.returncode == 1
    assert f"the chief cannot be reached: worker 0 (127.0.0.1:{pair.ports[0]}, the chief)" in output
    assert "DERMA_CLUSTER_WAIT_S" in output


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    write_store(tmp_path)
    pair = Pair.of(tmp_path, **SETTINGS)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", pair.ports[1]))
        taken.listen()
        worker = pair.start_worker()
        output = said(worker)
    assert worker.returncode == 1
    assert f"port {pair.ports[1]} of this machine is in use" in output


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "cannot be read"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}', "one worker only"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}', "is worker 2"),
        ('{"cluster": {"worker": ["a:1", "b"]}, "task": {"type": "worker", "index": 0}}', "not host:port"),
        ('{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}', "twice"),
        ('{"cluster": {"worker": ["a:1", "b:1"], "ps": ["c:1"]}, "task": {"type": "worker", "index": 0}}', "names ps"),
    ],
)
def test_a_wrong_description_is_refused(config: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(InputError, match=message):
        cluster_from_environment()


def test_only_the_chief_runs_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    described = {"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(described))
    with pytest.raises(InputError, match=r"worker 0 \(b:1\).*chief 0 \(a:1\).*training.worker"):
        cluster_of_chief()
    monkeypatch.setenv("TF_CONFIG", "")
    assert cluster_of_chief() is None
