"""What the check `browser_parity` found, kept beside the bundle: only a bundle that has passed may be released."""

import json
from pathlib import Path
from typing import Literal

from derma_assets.storage.atomic import replacing
from derma_assets.storage.fingerprint import fingerprint_folder
from derma_assets.storage.paths import stored_path
from derma_assets.storage.published import fetched_path, publish
from derma_assets.storage.records import record_of

_NAME = "browser_parity"

Outcome = Literal["passed", "failed", "not run"]


def record_parity(bundle: Path, outcome: Outcome, description: str) -> None:
    """Keep the outcome for the stored bundle at `bundle`, in the same store.

    Raises:
        StorageError: it cannot be written.
    """
    document = {"bundle": fingerprint_folder(bundle), "outcome": outcome, "description": description}
    path = stored_path(bundle.parent, _NAME, "document")
    with replacing(path) as beside:
        beside.write_text(json.dumps(document, indent=2) + "\n")
    publish(bundle.parent, _NAME, path, record_of(path, "", None))


def parity_of(bundle: Path) -> tuple[Outcome, str]:
    """Return the outcome for the bundle as it is now, and what was said; `not run` if it is of another bundle."""
    path = fetched_path(bundle.parent, _NAME, "document")
    if not path.is_file():
        return "not run", "the check browser_parity has left no record"
    document = json.loads(path.read_text())
    if document["bundle"] != fingerprint_folder(bundle):
        return "not run", "the last check browser_parity was of another bundle"
    return document["outcome"], document["description"]
