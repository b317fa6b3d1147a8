"""Memory that one step has used and the next would only hold.

Steps of a run often share a process, one after the other. What they free goes back to the C library, which keeps it for
the same threads; TensorFlow has many of them. And models refer to themselves, so that what a step leaves of one lives
until Python looks for such circles.
"""

import ctypes
import gc

import psutil

# A process that holds less gives nothing back: looking for circles takes a quarter of a second beside TensorFlow.
WORTH_IT = 1 << 30


def give_memory_back(worth_it: int = WORTH_IT) -> None:
    """Return what nobody uses to the system, if this process holds `worth_it` bytes."""
    if psutil.Process().memory_info().rss < worth_it:
        return
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries than glibc have none
    if trim is not None:
        trim(0)
