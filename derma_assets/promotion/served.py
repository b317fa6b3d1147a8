"""The bundles that were served, newest first, and the one that is: switched as a whole, and back with one command.

| path below the folder | what |
| --- | --- |
| `0001/`, `0002/`, ... | the promoted bundles, each with `bundle/` and what the gate needs to compare with it |
| `current` | a symbolic link to the one that is served |

A web server follows the link anew for each file, and the page checks each file against the manifest it began
with, so a phone that downloads while the link changes gets all old or all new, or begins again.

With object storage the folder is a working copy, see `shared.py`.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from derma_assets.errors import InputError
from derma_assets.promotion.gate import Judged
from derma_assets.promotion.shared import CURRENT, Index, alone, link_to, linked, numbered, pull, push
from derma_assets.storage.atomic import copy_folder, explained, replacing
from derma_assets.storage.claims import remove
from derma_assets.storage.fingerprint import fingerprint_folder, fingerprint_json, sha256_of_file, sha256_of_files

KEPT = 5
BUNDLE = "bundle"
PREDICTIONS, DOCUMENT = "predictions.parquet", "promotion.json"

# A file that is there until the link has named the folder: without the link, it was never served.
_PENDING = "pending"
# A file that is there from the moment that somebody has gone back from the folder.
_WENT_BACK = "went_back"

# The field of the document that holds the fingerprint of all others.
_ITSELF = "itself"
_NEEDED = {"bundle", "temperature", "operating_points"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Promoted:
    """One promoted bundle.

    Attributes:
        folder: Where it is kept.
        document: `bundle` (fingerprint), `predictions_sha256`, `temperature`, `operating_points`, and what the
            promotion said.
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

    @property
    def went_back(self) -> bool:
        """Whether somebody has gone back from it to another one."""
        return (self.folder / _WENT_BACK).exists()

    def damaged(self) -> list[str]:
        """Return which of `bundle` and `predictions.parquet` are not as they were promoted."""
        predictions = self.folder / PREDICTIONS
        # Earlier versions kept no hash of the predictions.
        known = self.document.get("predictions_sha256")
        whole = {
            BUNDLE: fingerprint_folder(self.bundle) == self.document["bundle"],
            PREDICTIONS: predictions.is_file() and known in (None, sha256_of_file(predictions)),
        }
        return [part for part, is_whole in whole.items() if not is_whole]

    def judged(self) -> Judged:
        """Return what the gate compares with.

        Raises:
            InputError: it is damaged.
        """
        if PREDICTIONS in self.damaged():
            raise InputError(
                f"{self.folder / PREDICTIONS}, what number {self.number} is compared by, is not what was written"
            )
        return Judged(
            pd.read_parquet(self.folder / PREDICTIONS),
            self.document["temperature"],
            self.document["operating_points"],
        )


def promoted(folder: Path) -> list[Promoted]:
    """Return the promoted bundles that are kept, newest first; not what a killed promotion has left.

    One whose document is not as it was written is left out, with a warning.
    """
    found = []
    for path in reversed(_were_served(folder)):
        document = _read(path / DOCUMENT)
        if document is not None:
            found.append(Promoted(path, document))
    return found


def current(folder: Path) -> Promoted | None:
    """Return the promoted bundle that is served, or None if none is, or its document is damaged (see `linked`)."""
    name = linked(folder)
    return next((one for one in promoted(folder) if one.folder.name == name), None)


def promote(folder: Path, bundle: Path, judged: Judged, document: dict[str, Any]) -> Promoted:
    """Keep a bundle and serve it from now on; of those before it the last four are kept.

    Args:
        folder: Folder of the promoted bundles; with object storage, as `shared.pull` has left it.
        bundle: The bundle; it is copied.
        judged: What a later gate compares with.
        document: What else is to be known of it.

    Raises:
        Overtaken: another machine has changed what is served.
        StorageError: it cannot be written; what was served is served on.
    """
    with alone(folder):
        there = [int(path.name) for path in _were_served(folder)]
        path = folder / f"{max(there, default=0) + 1:04d}"
        promotion = Promoted(path, _write(path, bundle, judged, document))
        kept = [path, *(one.folder for one in promoted(folder))][:KEPT]
        push(folder, _index(path, kept))
        _switch(folder, path.name)
        for old in set(numbered(folder)) - set(kept):
            # First: half of one is none.
            (old / DOCUMENT).unlink(missing_ok=True)
            remove(old)
    return promotion


def roll_back(folder: Path) -> Promoted:
    """Serve the promoted bundle that was served before the one that is served now, and return it.

    The newer one stays where it is until others take its place, marked as gone back from. Bundles that are so marked,
    or damaged, are passed over.

    Raises:
        InputError: none is served, or none before it is kept.
        Overtaken: another machine has changed what is served.
        StorageError: it cannot be written; what was served is served on.
    """
    with alone(folder):
        pull(folder)
        now = linked(folder)
        if now is None:
            raise InputError(f"nothing in {folder} is served, so there is nothing to go back from.")
        kept = promoted(folder)
        before = next((one for one in kept if one.folder.name < now and not one.went_back and _is_whole(one)), None)
        if before is None:
            raise InputError(f"no bundle before number {now} is kept in {folder}: there is nothing to go back to.")
        with explained(folder):
            if (folder / now).is_dir():
                (folder / now / _WENT_BACK).touch()
        push(folder, _index(before.folder, [one.folder for one in kept]))
        _switch(folder, before.folder.name)
        return before


def _is_whole(one: Promoted) -> bool:
    if BUNDLE not in one.damaged():
        return True
    _log.warning("%s is damaged (not what was promoted), so nobody goes back to it", one.bundle)
    return False


def _were_served(folder: Path) -> list[Path]:
    """Return the folders that were served or are, whole or not, oldest first."""
    served = linked(folder)
    return [path for path in numbered(folder) if path.name == served or not (path / _PENDING).exists()]


def _read(path: Path) -> dict[str, Any] | None:
    """Return a promotion's document, or None where there is none, or, with a warning, none as it was written."""
    try:
        document = json.loads(path.read_text())
        itself = document.pop(_ITSELF, None)
        # Earlier versions wrote it without.
        if document.keys() >= _NEEDED and itself in (None, fingerprint_json(document)):
            return dict(document)
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError, TypeError):
        pass
    _log.warning("%s is damaged (not what was written): the bundle beside it is left out", path)
    return None


def _write(path: Path, bundle: Path, judged: Judged, document: dict[str, Any]) -> dict[str, Any]:
    """Write the folder of a promoted bundle, and return its document."""
    with replacing(path) as beside:
        beside.mkdir()
        (beside / _PENDING).touch()
        copy_folder(bundle, beside / BUNDLE)
        judged.predictions.to_parquet(beside / PREDICTIONS)
        described = {
            **document,
            "bundle": fingerprint_folder(bundle),
            "predictions_sha256": sha256_of_file(beside / PREDICTIONS),
            "temperature": judged.temperature,
            "operating_points": dict(judged.points),
        }
        signed = {**described, _ITSELF: fingerprint_json(described)}
        (beside / DOCUMENT).write_text(json.dumps(signed, indent=2) + "\n")
    return described


def _index(served: Path, kept: Iterable[Path]) -> Index:
    folders = {path.name: sha256_of_files(path) for path in kept}
    for files in folders.values():
        files.pop(_PENDING, None)
    return Index(served.name, folders)


def _switch(folder: Path, name: str) -> None:
    """Serve another folder."""
    before = linked(folder)
    with explained(folder / CURRENT):
        if before is not None:  # a process killed right after its switch has left it
            (folder / before / _PENDING).unlink(missing_ok=True)
        link_to(folder, name)
        (folder / name / _PENDING).unlink(missing_ok=True)
