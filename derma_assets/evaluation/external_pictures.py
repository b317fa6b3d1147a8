"""Which picture of somebody else's folder a name means, written with or without its folder and its ending."""

from collections.abc import Iterable
from pathlib import Path

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp"})


def is_picture(path: Path) -> bool:
    """Return whether a file is a picture by its ending."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def identifier(path: Path, folder: Path) -> str:
    """Return what a picture is called in every table of ours: its path below the data set's folder."""
    return path.relative_to(folder).as_posix()


class PictureNames:
    """The pictures of a folder by every name that a table may use for them."""

    def __init__(self, files: Iterable[Path], folder: Path) -> None:
        """Take the pictures `files`, all below `folder`."""
        self._by_name: dict[str, set[Path]] = {}
        for path in files:
            whole = identifier(path, folder).lower()
            alone = whole.rsplit("/", 1)[-1]
            for name in {whole, _without_ending(whole), alone, _without_ending(alone)}:
                self._by_name.setdefault(name, set()).add(path)

    def files_of(self, name: object) -> set[Path]:
        """Return the pictures that a name may mean: none, one, or several that differ in what it leaves out."""
        written = str(name).strip().replace("\\", "/").lower().removeprefix("./")
        alone = _without_ending(written.rsplit("/", 1)[-1])
        known = (self._by_name.get(one) for one in (written, _without_ending(written), alone))
        return next((files for files in known if files), set())


def _without_ending(name: str) -> str:
    head, _, ending = name.rpartition(".")
    return head if head and f".{ending}" in PICTURE_SUFFIXES else name
