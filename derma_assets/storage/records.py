"""What is known of a stored asset: what it was made from, its data version, and the hash of each of its files.

Records lie beside the assets, in the folder `.records` of the store. An asset whose record names the same origins as a
new run would have need not be made again; one whose files no longer have their hashes is damaged.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from derma_assets.storage.atomic import replacing, sync
from derma_assets.storage.fingerprint import fingerprint_json, sha256_of_file, sha256_of_files

RECORDS = ".records"
# Where the records of checks lie among those of assets.
CHECKS = "checks"

# The field of a record's file that holds the fingerprint of all others.
_ITSELF = "itself"


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
    folder = store / RECORDS
    return folder / f"{name}.json" if partition is None else folder / name / f"{partition}.json"


def read_record(path: Path) -> StoredRecord | None:
    """Return the record at `path`, or None where there is none, or none as it was written."""
    try:
        document = json.loads(path.read_text())
        itself = document.pop(_ITSELF, None)
        record = StoredRecord(**document)
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    # Earlier versions wrote records without it.
    return record if itself is None or itself == _own_fingerprint(record) else None


def _own_fingerprint(record: StoredRecord) -> str:
    return fingerprint_json(asdict(record))


@contextmanager
def writing_record(path: Path) -> Iterator[Callable[[StoredRecord], None]]:
    """Yield a function that takes a record; it is on the disk at once, and at `path` when the block has ended well."""
    with ExitStack() as written:

        def keep(record: StoredRecord) -> None:
            content = json.dumps({**asdict(record), _ITSELF: _own_fingerprint(record)}, indent=1) + "\n"
            beside = written.enter_context(replacing(path))
            beside.write_text(content)
            sync(beside)

        yield keep


# What this thread has loaded, by the path of its record, as the record was then.
_here = threading.local()


def loading(path: Path) -> StoredRecord | None:
    """Return the record of what is about to be loaded, and remember it for `replaced_since_loaded`."""
    record = read_record(path)
    _loaded()[path] = record
    return record


def replaced_since_loaded(now: Mapping[Path, StoredRecord | None]) -> list[Path]:
    """Return which of these records, by path, are no longer as they were when their assets were loaded."""
    loaded = _loaded()
    return [path for path, record in now.items() if path in loaded and loaded[path] != record]


def forget_loaded(path: Path | None = None) -> None:
    """Forget that this thread has loaded what the record at `path` is of, or all that it has loaded."""
    if path is None:
        _loaded().clear()
    else:
        _loaded().pop(path, None)


def _loaded() -> dict[Path, StoredRecord | None]:
    return _here.__dict__.setdefault("loaded", {})


def check_path(store: Path, check: str) -> Path:
    """Return where it is kept what a check said the last time that it passed."""
    return record_path(store, CHECKS, check)


def read_check(path: Path) -> dict[str, Any] | None:
    """Return what was kept of a check that has passed, or None where there is nothing, or nothing as it was written."""
    try:
        document = json.loads(path.read_text())
        return document if document.pop(_ITSELF) == fingerprint_json(document) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_check(path: Path, document: dict[str, Any]) -> None:
    """Keep what a check said, atomically."""
    with replacing(path) as beside:
        beside.write_text(json.dumps({**document, _ITSELF: fingerprint_json(document)}))


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
