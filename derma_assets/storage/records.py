"""What is known of a stored asset: what it was made from, its data version, and the hash of each of its files.

Records lie beside the assets, in the folder `.records` of the store. An asset whose record names the same origins as a
new run would have need not be made again; one whose files no longer have their hashes is damaged.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from derma_assets.storage.atomic import replacing
from derma_assets.storage.fingerprint import fingerprint_json, sha256_of_file, sha256_of_files

_FOLDER = ".records"


@dataclass(frozen=True)
class StoredRecord:
    """What is known of one stored asset, or of one partition of it.

    Attributes:
        made_from: Fingerprint of all that decided the content: code, settings, and the data versions upstream.
            Empty if something upstream is not known.
        data_version: The content's fingerprint.
        sha256: Of each file, by its path below the asset's folder; of an asset that is one file, under ".".
    """

    made_from: str
    data_version: str
    sha256: dict[str, str]


def record_path(store: Path, name: str, partition: str | None = None) -> Path:
    """Return where the record of an asset, or of one partition of it, is kept."""
    folder = store / _FOLDER
    return folder / f"{name}.json" if partition is None else folder / name / f"{partition}.json"


def read_record(path: Path) -> StoredRecord | None:
    """Return the record at `path`, or None where there is none that can be read."""
    try:
        return StoredRecord(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write_record(path: Path, record: StoredRecord) -> None:
    """Write a record, atomically."""
    with replacing(path) as beside:
        beside.write_text(json.dumps(asdict(record), indent=1) + "\n")


def check_path(store: Path, check: str) -> Path:
    """Return where it is kept what a check said the last time that it passed."""
    return record_path(store, "checks", check)


def read_check(path: Path) -> dict[str, Any] | None:
    """Return what is kept of a check at `path`, or None where there is nothing that can be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def write_check(path: Path, document: dict[str, Any]) -> None:
    """Keep what a check said, atomically."""
    with replacing(path) as beside:
        beside.write_text(json.dumps(document))


def record_of(stored: Path, made_from: str, data_version: str | None) -> StoredRecord:
    """Return the record of what is stored at `stored`; without a data version its files' hashes give one."""
    sha256 = hashes_of(stored)
    return StoredRecord(made_from, data_version or fingerprint_json(sha256), sha256)


def hashes_of(stored: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a stored asset, see `StoredRecord`; empty if nothing is there."""
    if stored.is_dir():
        return sha256_of_files(stored)
    return {".": sha256_of_file(stored)} if stored.exists() else {}


def damaged_files(stored: Path, record: StoredRecord) -> list[str]:
    """Return the files of a stored asset that are not as they were written: changed, missing or added."""
    found = hashes_of(stored)
    return sorted(name for name in found.keys() | record.sha256.keys() if found.get(name) != record.sha256.get(name))
