"""What the check `browser_parity` found, kept beside the bundle: only a bundle that has passed may be released."""

import json
from pathlib import Path
from typing import Literal

from derma_assets.storage.atomic import replacing
from derma_assets.storage.fingerprint import fingerprint_folder
from derma_assets.storage.paths import stored_path

Outcome = Literal["passed", "failed", "not run"]


def record_parity(bundle: Path, outcome: Outcome, description: str) -> None:
    """Keep the outcome for the stored bundle at `bundle`, in the same store.

    Raises:
        StorageError: it cannot be written.
    """
    document = {"bundle": fingerprint_folder(bundle), "outcome": outcome, "description": description}
    with replacing(_path(bundle)) as beside:
        beside.write_text(json.dumps(document, indent=2) + "\n")


def parity_of(bundle: Path) -> tuple[Outcome, str]:
    """Return the outcome for the bundle as it is now, and what was said; `not run` if it is of another bundle."""
    path = _path(bundle)
    if not path.is_file():
        return "not run", "the check browser_parity has left no record"
    document = json.loads(path.read_text())
    if document["bundle"] != fingerprint_folder(bundle):
        return "not run", "the last check browser_parity was of another bundle"
    return document["outcome"], document["description"]


def _path(bundle: Path) -> Path:
    return stored_path(bundle.parent, "browser_parity", "document")
