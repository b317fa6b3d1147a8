"""Training with other processes: this one starts a member of the cluster, watches it, and says what went wrong."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from derma_assets.errors import InputError, UserError
from derma_assets.training.checkpoint import TrainingState
from derma_assets.training.cluster import VARIABLE, WORKER_COMMAND, Cluster
from derma_assets.training.job import JOINED, Outcome, TrainingJob, read_outcome

_LOOK_S = 0.2


def take_part(cluster: Cluster, job: TrainingJob, wait_s: float) -> None:
    """Train with the other processes of the cluster to the end, which the chief's state file then holds.

    Args:
        cluster: Who trains.
        job: What is trained.
        wait_s: How long to wait for the others to start, in seconds.

    Raises:
        InputError: the port is taken, another process has not started in time, or trains something else.
        UserError: another process was lost, or the training itself failed.
    """
    cluster.refuse_taken_port()
    others = [cluster.described(index) for index in range(len(cluster.names)) if index != cluster.index]
    print(f"training as {cluster.described(cluster.index)} with {', '.join(others)}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="derma_training_") as kept:
        folder = Path(kept)
        job.write(folder)
        # TensorFlow reports a lost process many times over; what counts is said below.
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        words = [sys.executable, "-m", "derma_assets.training.member", str(folder)]
        # It ends when its standard input does, that is with this process.
        member = subprocess.Popen(words, env=environment, stdin=subprocess.PIPE)
        try:
            _wait_until_all_joined(cluster, member, folder, wait_s)
            status = member.wait()
        finally:
            member.kill()
            member.wait()
        outcome = read_outcome(folder)
        joined = (folder / JOINED).exists()
    if outcome is None and not joined:
        raise UserError(f"the training process ended with status {status} before all had joined: see above why")
    _raise_unless_done(cluster, job, outcome or Outcome("lost", f"the training process ended with status {status}"))


def _wait_until_all_joined(cluster: Cluster, member: "subprocess.Popen[bytes]", folder: Path, wait_s: float) -> None:
    """Return once all have joined, or the member has ended.

    Raises:
        InputError: not all have come in time.
    """
    until = time.monotonic() + wait_s
    while member.poll() is None and not (folder / JOINED).exists():
        if time.monotonic() > until:
            raise InputError(_missing(cluster, wait_s))
        time.sleep(_LOOK_S)


def _missing(cluster: Cluster, wait_s: float) -> str:
    silent = cluster.silent()
    waited = f"waited {wait_s:g} s (DERMA_CLUSTER_WAIT_S) for all processes of {VARIABLE}"
    if 0 in silent:
        return (
            f"{waited}, but the chief cannot be reached: {cluster.described(0)}. Start the run there with its own "
            f"{VARIABLE}, and see that its port is open to this machine. A chief with nothing left to train does not "
            "listen."
        )
    if silent:
        missing = ", ".join(cluster.described(index) for index in silent)
        return f"{waited}, but not there: {missing}. Start there `{WORKER_COMMAND}` with its own {VARIABLE}."
    return (
        f"{waited}; all can be reached, yet not all have joined: give all the same cluster in {VARIABLE}, start anew."
    )


def _raise_unless_done(cluster: Cluster, job: TrainingJob, outcome: Outcome) -> None:
    if outcome.kind == "done":
        return
    if outcome.kind == "refused":
        raise InputError(outcome.message)
    if outcome.kind == "failed":
        raise UserError("the training process failed, see its traceback above. The other processes end too.")
    named = {
        f"{job_name} {task}"
        for job_name, task in re.findall(r"/job:(\w+)/(?:replica:\d+/)?task:(\d+)", outcome.message)
    }
    gone = [index for index, name in enumerate(cluster.names) if name in named and index != cluster.index]
    gone = gone or cluster.silent()
    if gone:
        who = ", ".join(cluster.described(index) for index in gone)
        problem = f"lost in training: {who}. It was ended, or cannot be reached any more; it may have said why itself"
    else:
        lines = [line.strip() for line in outcome.message.splitlines() if line.strip()]
        reason = next((line for line in lines if "ollective" in line), lines[0] if lines else "no reason given")
        problem = f"the processes that train together have lost each other ({reason})"
    if job.state_path is None:
        kept = "The chief keeps what was learnt up to its last whole epoch"
    else:
        epochs = len(TrainingState.load(job.state_path).history)
        kept = f"Kept: the training after epoch {epochs} of {job.recipe.epochs}" if epochs else "No epoch was finished"
    raise UserError(
        f"{problem}. {kept}. Start all processes again, each with its {VARIABLE}: the training goes on from there."
    )
