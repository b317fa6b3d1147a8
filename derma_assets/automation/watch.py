"""Looking at the folder of new pictures again and again: what is settled, what is whole, what was not asked for yet."""

import json
from dataclasses import dataclass
from pathlib import Path

from derma_assets.dataset.incoming import METADATA, read_batches, signature
from derma_assets.dataset.manifest import Known
from derma_assets.storage.fingerprint import fingerprint_json, sha256_of_file


@dataclass(frozen=True)
class Look:
    """What one look found.

    Attributes:
        cursor: To be handed to the next look.
        request: Name of what is new and whole; None if there is no such thing. The name tells also what was asked for
            before: Dagster starts no second run of one name, and a batch that is taken away leaves what was there once.
        said: What is waited for, or what is new.
        of: The asset that has to look: `raw_metadata`, or `raw_images` where no table has changed but a picture has,
            of which the metadata know nothing. Never both: what is below would be asked for between the two.
    """

    cursor: str
    request: str | None
    said: str
    of: str = "raw_metadata"


def look(folder: Path, cursor: str | None, known: Known | None = None) -> Look:
    """Look at the folder that batches are dropped into.

    Nothing is asked for while anything below the folder changes between two looks, so a copy of any length is
    waited for; the clocks of the machines that write play no part.

    Args:
        folder: Folder of the batches.
        cursor: Of the look before; None at the first.
        known: Pictures that have been read before; what this look reads is added, so that the next one need not.

    Raises:
        InputError: the folder cannot be read.
    """
    before = json.loads(cursor) if cursor else {"signature": None, "asked": None, "tables": None, "request": None}
    now = _state(folder)
    if now != before["signature"]:
        return Look(json.dumps({**before, "signature": now}), None, f"{folder} has changed since the last look")
    batches = read_batches(folder, known)
    if _state(folder) != now:  # reading takes a while
        return Look(json.dumps({**before, "signature": None}), None, f"{folder} has changed during this look")
    whole = [batch.folder for batch in batches if batch.is_whole]
    waiting = [f"{batch.folder.name} waits for {batch.waiting_for[0]}" for batch in batches if not batch.is_whole]
    asked = fingerprint_json({path.name: signature(path) for path in whole})
    # The last batch may also have been taken away again.
    if asked == before["asked"] or not (whole or before["asked"]):
        return Look(json.dumps(before), None, "; ".join(waiting) or "nothing new")
    said = "; ".join([f"whole: {', '.join(path.name for path in whole) or 'none any more'}", *waiting])
    tables = fingerprint_json({path.name: sha256_of_file(path / METADATA) for path in whole})
    request = fingerprint_json([before["request"], asked])
    after = json.dumps({**before, "asked": asked, "tables": tables, "request": request})
    return Look(after, request, said, "raw_images" if tables == before["tables"] else "raw_metadata")


def _state(folder: Path) -> str:
    return fingerprint_json(signature(folder)) if folder.is_dir() else ""
