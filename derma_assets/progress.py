"""Progress of long work on the console: a live bar on a terminal, a line now and then in a log."""

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


class _LogLines:
    """A stderr for logs: what would overwrite a line on a terminal becomes a line of its own."""

    def write(self, text: str) -> int:
        line = text.strip("\r\n\x1b[A ")
        return sys.stderr.write(f"{line}\n") if line else 0

    def flush(self) -> None:
        sys.stderr.flush()


def bar(total: int | None, what: str, unit: str = "pictures", done: int = 0) -> "tqdm[Any]":
    """Return a bar to `update()`: how much of `total` is done, how fast, and how long is left.

    Args:
        total: Units of work in all, or None when unknown.
        what: What is being done, such as `decoding`.
        unit: What is counted.
        done: Units done before this run.
    """
    live = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=done,
        desc=what,
        unit=f" {unit}",
        file=sys.stderr if live else _LogLines(),
        mininterval=0.2 if live else 5.0,
        # Without this tqdm learns to skip updates and then stays silent when the work slows down.
        miniters=1,
        smoothing=0.1,
    )


def progress(items: Iterable[Item], what: str, total: int | None = None, unit: str = "pictures") -> Iterator[Item]:
    """Yield `items` while showing their progress, see `bar`."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(total, what, unit) as shown:
        for item in items:
            yield item
            shown.update()
