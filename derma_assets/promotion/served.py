"""The bundles that were served, newest first, and the one that is: switched as a whole, and back with one command.

| path below the folder | what |
| --- | --- |
| `0001/`, `0002/`, ... | the promoted bundles, each with `bundle/` and what the gate needs to compare with it |
| `current` | a symbolic link to the one that is served |

A web server follows the link anew for each file, and the page checks each file against the manifest it began
with, so a phone that downloads while the link changes gets all old or all new, or begins again.
"""

import json
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from derma_assets.errors import InputError
from derma_assets.promotion.gate import Judged
from derma_assets.storage.atomic import copy_folder, explained, replacing
from derma_assets.storage.claims import remove
from derma_assets.storage.locks import holding

KEPT = 5
CURRENT, BUNDLE = "current", "bundle"
_PREDICTIONS, _DOCUMENT = "predictions.parquet", "promotion.json"

# A file that is there until the link has named the folder: without the link, it was never served.
_PENDING = "pending"


@dataclass(frozen=True)
class Promoted:
    """One promoted bundle.

    Attributes:
        folder: Where it is kept.
        document: `date`, `model` (fingerprint), `temperature`, `operating_points`, and what the promotion said.
    """

    folder: Path
    document: dict[str, Any]

    @property
    def number(self) -> int:
        """Counted from 1."""
        return int(self.folder.name)

    @property
    def bundle(self) -> Path:
        """The folder that is served."""
        return self.folder / BUNDLE

    def judged(self) -> Judged:
        """Return what the gate compares with."""
        return Judged(
            pd.read_parquet(self.folder / _PREDICTIONS),
            self.document["temperature"],
            self.document["operating_points"],
        )


def promoted(folder: Path) -> list[Promoted]:
    """Return the promoted bundles that are kept, newest first; not what a killed promotion has left."""
    link = folder / CURRENT
    served = os.readlink(link) if link.is_symlink() else None
    whole = [path for path in _numbered(folder) if (path / _DOCUMENT).is_file()]
    numbered = [path for path in whole if path.name == served or not (path / _PENDING).exists()]
    return [
        Promoted(path, json.loads((path / _DOCUMENT).read_text()))
        for path in sorted(numbered, key=lambda path: int(path.name), reverse=True)
    ]


def current(folder: Path) -> Promoted | None:
    """Return the promoted bundle that is served, or None if none is."""
    link = folder / CURRENT
    if not link.is_symlink():
        return None
    name = os.readlink(link)
    return next((one for one in promoted(folder) if one.folder.name == name), None)


def promote(folder: Path, bundle: Path, judged: Judged, document: dict[str, Any]) -> Promoted:
    """Keep a bundle and serve it from now on; of those before it the last four are kept.

    Args:
        folder: Folder of the promoted bundles.
        bundle: The bundle; it is copied.
        judged: What a later gate compares with.
        document: What else is to be known of it.

    Raises:
        StorageError: it cannot be written; what was served is served on.
    """
    with _alone(folder):
        there = promoted(folder)
        path = folder / f"{(there[0].number if there else 0) + 1:04d}"
        _write(path, bundle, judged, document)
        _switch(folder, path.name)
        kept = promoted(folder)[:KEPT]
        for old in set(_numbered(folder)) - {one.folder for one in kept}:
            # First: half of one is none.
            (old / _DOCUMENT).unlink(missing_ok=True)
            remove(old)
    return next(one for one in kept if one.folder == path)


def _numbered(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]" * 4))


def _alone(folder: Path) -> AbstractContextManager[None]:
    """Return what keeps other processes from promoting or going back meanwhile."""
    return holding(folder.parent, writes=[(folder.name, None)], does="serves another bundle", say=tqdm.write)


def _write(path: Path, bundle: Path, judged: Judged, document: dict[str, Any]) -> None:
    with replacing(path) as beside:
        beside.mkdir()
        (beside / _PENDING).touch()
        copy_folder(bundle, beside / BUNDLE)
        judged.predictions.to_parquet(beside / _PREDICTIONS)
        described = {**document, "temperature": judged.temperature, "operating_points": dict(judged.points)}
        (beside / _DOCUMENT).write_text(json.dumps(described, indent=2) + "\n")


def roll_back(folder: Path) -> Promoted:
    """Serve the promoted bundle before the one that is served now, and return it.

    The newer one stays where it is until others take its place.

    Raises:
        InputError: none is served, or none before it is kept.
    """
    with _alone(folder):
        now = current(folder)
        if now is None:
            raise InputError(f"nothing in {folder} is served, so there is nothing to go back from.")
        before = [one for one in promoted(folder) if one.number < now.number]
        if not before:
            raise InputError(
                f"no bundle before number {now.number} is kept in {folder}: there is nothing to go back to."
            )
        _switch(folder, before[0].folder.name)
        return before[0]


def _switch(folder: Path, name: str) -> None:
    """Let the link name another folder: one rename, so that it always names one."""
    beside, link = folder / f".{CURRENT}", folder / CURRENT
    with explained(link):
        if link.is_symlink():  # a process killed right after its switch has left it
            (folder / os.readlink(link) / _PENDING).unlink(missing_ok=True)
        beside.unlink(missing_ok=True)
        beside.symlink_to(name)
        os.replace(beside, link)
        (folder / name / _PENDING).unlink(missing_ok=True)
