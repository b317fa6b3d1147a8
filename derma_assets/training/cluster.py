"""The processes that train one model together, as `TF_CONFIG` names them to TensorFlow.

`{"cluster": {"worker": ["host0:port", "host1:port"]}, "task": {"type": "worker", "index": 0}}`: the same cluster for
all, and for each process its own task. A `chief` may be named apart; without one the first worker is the chief.
"""

import errno
import json
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from derma_assets.errors import InputError

VARIABLE = "TF_CONFIG"

# What is started on every machine but the chief's.
WORKER_COMMAND = "python -m derma_assets.training.worker"

_EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
_ANSWER_S = 3.0


@dataclass(frozen=True)
class Cluster:
    """The processes that train together.

    Attributes:
        names: Of each process, as `TF_CONFIG` has it: `worker 0`, or `chief 0`. The chief is the first.
        addresses: `host:port` of each.
        index: Which one this process is.
    """

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this process keeps the state and makes the result."""
        return self.index == 0

    def described(self, index: int) -> str:
        """Return one process in words: what it is called, and where it listens."""
        chief = ", the chief" if index == 0 and not self.names[0].startswith("chief") else ""
        return f"{self.names[index]} ({self.addresses[index]}{chief})"

    def silent(self) -> list[int]:
        """Return the other processes that accept no connection."""
        return [index for index, address in enumerate(self.addresses) if index != self.index and not _answers(address)]

    def refuse_taken_port(self) -> None:
        """Make sure that this process can listen at its address.

        Raises:
            InputError: something else listens there.
        """
        port = int(self.addresses[self.index].rpartition(":")[2])
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("", port))
            except OSError as error:
                problem = "in use" if error.errno == errno.EADDRINUSE else f"not to be had ({error.strerror})"
                raise InputError(
                    f"port {port} of this machine is {problem}, where {VARIABLE} wants {self.described(self.index)} to "
                    "listen. End what uses it (an earlier training?), or name another port in all processes."
                ) from None


def cluster_from_environment() -> Cluster | None:
    """Return the cluster that `TF_CONFIG` describes, or None if it is not set: this process then trains alone.

    Raises:
        InputError: it is not what TensorFlow understands, or names one process only.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        described = json.loads(text)
        jobs, task = described["cluster"], described["task"]
        members = [
            (f"{job} {index}", address)
            for job in ("chief", "worker")
            for index, address in enumerate(jobs.get(job, []))
        ]
        me = f"{task['type']} {int(task['index'])}"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _wrong(f"cannot be read ({type(error).__name__}: {error})") from None
    names, addresses = [name for name, _ in members], [address for _, address in members]
    if len(members) == 1:
        raise _wrong("names one worker only. Unset it to train in one process, or name all workers")
    other = jobs.keys() - {"chief", "worker"}
    if other:
        raise _wrong(f"names {_listed(other)}: only `worker` and one `chief` are known here")
    if len(jobs.get("chief", [])) > 1:
        raise _wrong("names more than one chief")
    if me not in names:
        raise _wrong(f"says that this process is {me}, which is not one of {_listed(names)}")
    for address in addresses:
        host, _, port = str(address).rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise _wrong(f"has the address {address!r}, which is not host:port")
    if len(set(addresses)) < len(addresses):
        raise _wrong("names an address twice")
    return Cluster(tuple(names), tuple(addresses), names.index(me))


def cluster_of_chief() -> Cluster | None:
    """Return the cluster of this process, which runs the graph and so has to be the chief; None if it trains alone.

    Raises:
        InputError: it is not the chief, or `TF_CONFIG` is wrong.
    """
    cluster = cluster_from_environment()
    if cluster is not None and not cluster.is_chief:
        raise InputError(
            f"{VARIABLE} says that this process is {cluster.described(cluster.index)}, but the graph is run by the "
            f"chief, {cluster.described(0)}. Start here: {WORKER_COMMAND}"
        )
    return cluster


def _wrong(problem: str) -> InputError:
    return InputError(f"{VARIABLE} {problem}. It looks like {_EXAMPLE}; docs/distributed_training.md says more.")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)) or "nothing"


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()
    except OSError:
        return False
    return True
