"""Doing the same to many things with all cores, results in their order, a bounded number at a time."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from derma_assets.progress import progress

Given = TypeVar("Given")
Made = TypeVar("Made")

_AT_ONCE = 256


def in_order(function: Callable[[Given], Made], items: Sequence[Given], what: str) -> Iterator[Made]:
    """Yield what the function makes of each item, in threads, showing progress.

    So many items are begun at a time: what waits to be taken, and what waits to be done, never fill the memory.

    Args:
        function: Called in threads.
        items: What it is called with.
        what: What is being done, such as `decoding`.
    """

    def made() -> Iterator[Made]:
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for start in range(0, len(items), _AT_ONCE):
                yield from threads.map(function, items[start : start + _AT_ONCE])

    return progress(made(), what, total=len(items))
