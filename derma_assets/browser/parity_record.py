"""What the check `browser_parity` found, kept beside the bundle: only a bundle that has passed may be released."""

import json
import logging
from pathlib import Path
from typing import Any, Literal, get_args

from derma_assets.storage.atomic import replacing
from derma_assets.storage.fingerprint import fingerprint_folder
from derma_assets.storage.locks import holding
from derma_assets.storage.paths import stored_path
from derma_assets.storage.published import fetched_path, publish
from derma_assets.storage.records import record_of

_NAME = "browser_parity"

_log = logging.getLogger(__name__)

Outcome = Literal["passed", "failed", "not run"]


def record_parity(bundle: Path, outcome: Outcome, description: str) -> None:
    """Keep the outcome for the stored bundle at `bundle`, in the same store.

    Raises:
        StorageError: it cannot be written.
    """
    document = {"bundle": fingerprint_folder(bundle), "outcome": outcome, "description": description}
    store = bundle.parent
    path = stored_path(store, _NAME, "document")
    with holding(store, writes=[(_NAME, None)], does="records browser_parity", say=_log.info):
        with replacing(path) as beside:
            beside.write_text(json.dumps(document, indent=2) + "\n")
        publish(store, _NAME, path, record_of(path, "", None))


def parity_of(bundle: Path) -> tuple[Outcome, str]:
    """Return the outcome for the bundle as it is now, and what was said.

    It is `not run` if the last one is of another bundle, or its record is not as it was written.
    """
    path = fetched_path(bundle.parent, _NAME, "document")
    if not path.is_file():
        return "not run", "the check browser_parity has left no record"
    try:
        document = json.loads(path.read_text())
        made_of, outcome, description = (document[name] for name in ("bundle", "outcome", "description"))
    except (ValueError, KeyError, TypeError):
        outcome = None
    if outcome not in get_args(Outcome):
        return "not run", f"{path}, what the check browser_parity has left, is damaged: run the check again"
    if made_of != fingerprint_folder(bundle):
        return "not run", "the last check browser_parity was of another bundle"
    return outcome, description


def has_passed(tfjs_bundle: Path, **_: Any) -> bool:
    """Return whether the record says that a bundle has passed; the other things that were compared are not asked."""
    return parity_of(tfjs_bundle)[0] == "passed"
