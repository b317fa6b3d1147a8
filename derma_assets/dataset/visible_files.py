"""The files that people have put somewhere, without those that their systems add."""

import os
from collections.abc import Callable
from pathlib import Path

_MACOS_ARCHIVE = "__MACOSX"


def visible_files(folder: Path, refuse: Callable[[OSError], object] | None = None) -> list[Path]:
    """Return every file below `folder`, absolute, whatever links lead there.

    Left out are hidden files and folders, such as the `._<name>` that macOS writes beside each file on a disk that is
    not its own, and what it adds to archives.

    Args:
        folder: Where to look.
        refuse: Called with the error of each folder that cannot be read; without it, such a one is left out.
    """
    found: list[Path] = []
    for parent, folders, names in os.walk(folder.absolute(), followlinks=True, onerror=refuse):
        folders[:] = sorted(name for name in folders if name != _MACOS_ARCHIVE and not name.startswith("."))
        found += [Path(parent, name) for name in names if not name.startswith(".")]
    return found
