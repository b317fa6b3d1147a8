"""What a person is told when processes that train together lose each other, from what TensorFlow says."""

from pathlib import Path

import pandas as pd
import pytest

from derma_assets.errors import InputError, UserError
from derma_assets.training.checkpoint import TrainingState
from derma_assets.training.cluster import Cluster
from derma_assets.training.group import _raise_unless_done
from derma_assets.training.job import Outcome, TrainingJob
from derma_assets.training.recipe import SAMPLE
from derma_assets.training.train import BackboneChoice

# TensorFlow 2.19's words after a worker, and after the chief, was killed.
WORKER_KILLED = (
    "Graph execution error:\n\nDetected at node CollectiveReduceV2\n\nCollective ops is aborted by: Error reported "
    "from /job:worker/task:1: The following tasks are unhealthy (stopped sending heartbeats):\n"
    "/job:worker/replica:0/task:1\nThe tasks have crashed."
)
CHIEF_KILLED = (
    "Graph execution error:\n\nCollective ops is aborted by: Connection reset by peer\nAdditional GRPC error "
    "information from remote target /job:worker/replica:0/task:0 while calling /tensorflow.WorkerService/Complete:"
)


def _told(outcome: Outcome, index: int, state_path: Path | None) -> str:
    cluster = Cluster(("worker 0", "worker 1"), ("127.0.0.1:1", "127.0.0.1:2"), index)
    backbone = BackboneChoice(weights="random", alpha=0.25, trainable_layers=3)
    job = TrainingJob(Path("arrays"), pd.DataFrame(), SAMPLE, backbone, 1, "float32", state_path)
    with pytest.raises(UserError) as raised:
        _raise_unless_done(cluster, job, outcome)
    return str(raised.value)


def test_the_chief_says_who_was_lost_and_what_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    assert "No epoch was finished" in _told(Outcome("lost", WORKER_KILLED), 0, path)
    TrainingState(history=[{"epoch": 1.0}, {"epoch": 2.0}]).save(path)
    told = _told(Outcome("lost", WORKER_KILLED), 0, path)
    assert told.startswith("lost in training: worker 1 (127.0.0.1:2).")
    assert "Kept: the training after epoch 2 of 22. Start all processes again" in told


def test_a_worker_says_that_the_chief_was_lost() -> None:
    told = _told(Outcome("lost", CHIEF_KILLED), 1, None)
    assert told.startswith("lost in training: worker 0 (127.0.0.1:1, the chief).")
    assert "The chief keeps" in told


def test_who_does_not_answer_is_named_when_tensorflow_names_no_one() -> None:
    assert "worker 1 (127.0.0.1:2)" in _told(Outcome("lost", "something"), 0, None)


def test_a_message_for_a_person_is_passed_on() -> None:
    with pytest.raises(InputError, match=r"^the processes differ$"):
        _raise_unless_done(
            Cluster(("worker 0", "worker 1"), ("a:1", "b:2"), 0),
            TrainingJob(
                Path(), pd.DataFrame(), SAMPLE, BackboneChoice(weights="", alpha=1, trainable_layers=0), 1, "float32"
            ),
            Outcome("refused", "the processes differ"),
        )
