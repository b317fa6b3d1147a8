"""How a batch is divided among replicas: by position, so that what belongs to the batch stays the batch's.

Replicas are the devices that learn the same model side by side, each from its own part of every batch. Mixup pairs
the first picture of a batch with the last, the second with the last but one; a part always holds whole pairs.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from derma_assets.tensorflow_runtime import import_tensorflow


@dataclass(frozen=True)
class Share:
    """Which replicas are this process's.

    Attributes:
        here: Their numbers.
        replicas: How many there are in all processes.
    """

    here: Sequence[int]
    replicas: int


@dataclass(frozen=True)
class Part:
    """Which pictures of a batch one replica takes.

    Attributes:
        count: Scalar int32 tensor: pictures of the whole batch.
        positions: (b,) int32 tensor of increasing positions in the batch; none if there are more replicas than pairs.
    """

    count: Any
    positions: Any

    def of(self, values: Any) -> Any:
        """Return the part's values of (count, ...) values of the whole batch."""
        return import_tensorflow().gather(values, self.positions)


def part_of_batch(count: Any, replica: Any, replicas: int) -> Part:
    """Return the part of a batch of `count` pictures that the replica numbered `replica` takes.

    The parts of all `replicas` together are the batch, each picture once. The reversed part holds, in order, the
    pictures that the reversed batch holds in their places.
    """
    tf = import_tensorflow()
    count, replica = tf.cast(count, tf.int32), tf.cast(replica, tf.int32)
    pairs = (count + 1) // 2
    first, end = pairs * replica // replicas, pairs * (replica + 1) // replicas
    # The middle picture of an odd batch is its own partner: it is in the front half alone.
    back = tf.range(tf.maximum(count - end, end), count - first)
    return Part(count, tf.concat([tf.range(first, end), back], axis=0))


# Of each thread: TensorFlow builds the computation of each replica of a process in a thread of its own.
_AT_HAND = threading.local()


@contextmanager
def at_hand(part: Part) -> Iterator[None]:
    """Let layers know meanwhile which part of a batch they are given: `part_at_hand`."""
    _AT_HAND.part = part
    try:
        yield
    finally:
        _AT_HAND.part = None


def part_at_hand() -> Part | None:
    """Return the part of a batch that a layer is given, or None where it is given a batch of its own."""
    return getattr(_AT_HAND, "part", None)
