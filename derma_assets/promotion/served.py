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
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from derma_assets.errors import InputError
from derma_assets.promotion.gate import Judged
from derma_assets.storage.atomic import copy_folder, explained, replacing

KEPT = 5
CURRENT, BUNDLE = "current", "bundle"
_PREDICTIONS, _DOCUMENT = "predictions.parquet", "promotion.json"


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
    """Return the promoted bundles that are kept, newest first."""
    numbered = [path for path in folder.glob("[0-9]" * 4) if (path / _DOCUMENT).is_file()]
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
    there = promoted(folder)
    path = folder / f"{(there[0].number if there else 0) + 1:04d}"
    with replacing(path) as beside:
        beside.mkdir()
        copy_folder(bundle, beside / BUNDLE)
        judged.predictions.to_parquet(beside / _PREDICTIONS)
        described = {**document, "temperature": judged.temperature, "operating_points": dict(judged.points)}
        (beside / _DOCUMENT).write_text(json.dumps(described, indent=2) + "\n")
    _switch(folder, path.name)
    for old in promoted(folder)[KEPT:]:
        shutil.rmtree(old.folder, ignore_errors=True)
    return next(one for one in promoted(folder) if one.folder == path)


def roll_back(folder: Path) -> Promoted:
    """Serve the promoted bundle before the one that is served now, and return it.

    The newer one stays where it is until others take its place.

    Raises:
        InputError: none is served, or none before it is kept.
    """
    now = current(folder)
    if now is None:
        raise InputError(f"nothing in {folder} is served, so there is nothing to go back from.")
    before = [one for one in promoted(folder) if one.number < now.number]
    if not before:
        raise InputError(f"no bundle before number {now.number} is kept in {folder}: there is nothing to go back to.")
    _switch(folder, before[0].folder.name)
    return before[0]


def _switch(folder: Path, name: str) -> None:
    """Let the link name another folder: one rename, so that it always names one."""
    beside = folder / f".{CURRENT}.{os.getpid()}"
    with explained(folder / CURRENT):
        beside.unlink(missing_ok=True)
        beside.symlink_to(name)
        os.replace(beside, folder / CURRENT)
