"""Serving what other machines promote: a working copy that follows the bucket while somebody serves from it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from derma_assets.errors import UserError
from derma_assets.promotion.shared import pull

SECONDS = 30.0


@contextmanager
def following(folder: Path, say: Callable[[str], None], seconds: float = SECONDS) -> Iterator[None]:
    """Bring a folder of promoted bundles to what object storage has, again and again, meanwhile.

    What cannot be fetched is tried again the next time; what was served is served on until then.

    Args:
        folder: Folder of the promoted bundles; of one that is no working copy there is nothing to fetch.
        say: Is told of what is wrong, once, and of when it is well again.
        seconds: Between two looks.
    """
    stop = threading.Event()

    def follow() -> None:
        wrong = ""
        while not stop.wait(seconds):
            try:
                pull(folder)
                now = ""
            except (UserError, OSError) as error:
                now = str(error)
            if now != wrong:
                say(f"What is promoted now cannot be fetched: {now}" if now else "What is promoted is fetched again.")
            wrong = now

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
