"""One of several processes that train a model together: python -m derma_assets.training.member FOLDER, as `group` does.

A process of its own, because TensorFlow joins a cluster before it does anything else, and does not leave it again.
"""

import json
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.errors import InputError, UserError
from derma_assets.storage.fingerprint import fingerprint_json
from derma_assets.tensorflow_runtime import import_tensorflow, without_native_noise
from derma_assets.training.checkpoint import TrainingState
from derma_assets.training.cluster import Cluster, cluster_from_environment
from derma_assets.training.fit import learn
from derma_assets.training.job import JOINED, Outcome, TrainingJob, write_outcome
from derma_assets.training.train import prepare, what_decides

# What each difference between two processes comes from, and what to do about it.
_ADVICE = {
    "code": "update the project on all machines to the same version",
    "recipe": "set DERMA_RECIPE and DERMA_EPOCHS to what the run of the chief has, also in its launchpad",
    "backbone": "set DERMA_BACKBONE, DERMA_BACKBONE_WEIGHTS (one file), DERMA_ALPHA and DERMA_TRAINABLE_LAYERS alike",
    "seed": "set DERMA_SEED alike",
    "precision": "the processors differ: set DERMA_PRECISION=float32 on all",
    "pictures": "copy image_arrays from the chief's store",
    "splits": "copy training_set from the chief's store",
}


def main(folder: Path) -> None:
    """Take part in the training that `folder` describes, and leave word there of how it ended."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    try:
        cluster = cluster_from_environment()
        assert cluster is not None
        _train(cluster, TrainingJob.read(folder), folder)
        outcome = Outcome("done")
    except UserError as error:
        outcome = Outcome("refused", str(error))
    except Exception as error:
        if isinstance(error, _signs_of_loss()):
            outcome = Outcome("lost", str(error))
        else:
            traceback.print_exc()
            outcome = Outcome("failed")
    write_outcome(folder, outcome)
    sys.stderr.flush()
    os._exit(0)  # TensorFlow's own end waits for processes that may be gone


def _signs_of_loss() -> tuple[type[Exception], ...]:
    """Return what TensorFlow raises in the others when a process is gone."""
    errors = import_tensorflow().errors
    return (
        errors.UnavailableError,
        errors.AbortedError,
        errors.CancelledError,
        errors.DeadlineExceededError,
        errors.InternalError,
    )


def _end_with_the_parent() -> None:
    """End this process when the one that started it is gone, however it ended: no one else is left to end it."""
    sys.stdin.buffer.read()
    os._exit(1)


def _train(cluster: Cluster, job: TrainingJob, folder: Path) -> None:
    arrays = ImageArrays.open(job.arrays)
    decides = what_decides(arrays, job.splits, job.recipe, job.backbone, job.seed, job.precision)
    tf = import_tensorflow()
    with without_native_noise():
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    (folder / JOINED).touch()
    _refuse_differences(cluster, _said_by_all(strategy, cluster, decides))
    kept = TrainingState.load(job.state_path) if job.state_path else TrainingState()
    state = TrainingState.from_bytes(_from_chief(strategy, cluster, kept.to_bytes()))

    def keep() -> None:
        if job.state_path:
            state.save(job.state_path)

    prepared = prepare(arrays, job.splits, job.recipe, job.backbone, job.seed, begun=bool(state.history))
    learn(
        prepared.model,
        arrays.pixels,
        prepared.train,
        prepared.validation,
        job.recipe,
        seed=job.seed,
        state=state,
        keep=keep,
        precision=job.precision,
        strategy=strategy,
    )
    # No one leaves before all are through: who is missing would be taken for lost.
    _said_by_all(strategy, cluster, {})


def _refuse_differences(cluster: Cluster, decides: list[dict[str, Any]]) -> None:
    """Make sure that all processes train the same.

    Raises:
        InputError: they do not; the message says which differ, in what, and what to do.
    """
    problems = [
        f"{cluster.described(index)} has other {name} than the chief: {_ADVICE[name]}"
        for index, other in enumerate(decides)
        for name in other
        if other[name] != decides[0][name]
    ]
    if problems:
        raise InputError(
            f"the processes would not train the same model. {'; '.join(problems)}. Then start all again; "
            "docs/distributed_training.md says what has to be the same."
        )


def _said_by_all(strategy: Any, cluster: Cluster, said: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the fingerprints of the values that each process says, by name, in the order of the processes."""
    words = json.dumps({name: fingerprint_json(value) for name, value in said.items()}).encode()
    table = np.zeros([len(cluster.names), 1024], np.uint8)
    table[cluster.index, : len(words)] = np.frombuffer(words, np.uint8)
    told = _added_up(strategy, cluster, table.astype(np.int32)).astype(np.uint8)
    return [json.loads(row.tobytes().rstrip(b"\0")) for row in told]


def _from_chief(strategy: Any, cluster: Cluster, content: bytes) -> bytes:
    """Return the chief's content, in every process."""
    mine = content if cluster.is_chief else b""
    length = int(_added_up(strategy, cluster, np.array([len(mine)], np.int32))[0])
    words = np.zeros(-(-length // 4) * 4, np.uint8)
    words[: len(mine)] = np.frombuffer(mine, np.uint8)
    return _added_up(strategy, cluster, words.view(np.int32)).view(np.uint8).tobytes()[:length]


def _added_up(strategy: Any, cluster: Cluster, values: np.ndarray) -> np.ndarray:
    """Return the sum of the int32 values of all processes: with zeros in all but one, what that one has."""
    tf = import_tensorflow()
    here = strategy.num_replicas_in_sync // len(cluster.names)

    def mine(context: Any) -> Any:
        first = context.replica_id_in_sync_group == cluster.index * here
        return tf.constant(values if first else np.zeros_like(values))

    each = strategy.experimental_distribute_values_from_function(mine)
    return np.asarray(strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
