"""Fingerprints of contents: what a data version of an asset is made of. Equal content, equal fingerprint."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

_LENGTH = 16


def fingerprint_table(table: pd.DataFrame) -> str:
    """Return the fingerprint of a table: its column names, types, values and row order."""
    digest = hashlib.sha256(repr([(str(name), str(dtype)) for name, dtype in table.dtypes.items()]).encode())
    digest.update(pd.util.hash_pandas_object(table, index=True).to_numpy().tobytes())
    return digest.hexdigest()[:_LENGTH]


def fingerprint_json(value: Any) -> str:
    """Return the fingerprint of a value that JSON can hold, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:_LENGTH]


def fingerprint_arrays(arrays: Sequence[np.ndarray]) -> str:
    """Return the fingerprint of a sequence of arrays, such as a model's weights."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:_LENGTH]


# Hashes of this process, by all that tells one state of a file from another. A file may be written twice within a tick
# of the file system's clock: what was touched a moment ago is not remembered.
_hashed: dict[tuple[int, ...], str] = {}
_TICK_S = 2.0


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits.

    A file that is linked under several names is read once in a process: pictures lie in their shard and in the whole.
    """
    with path.open("rb") as handle:
        of = os.fstat(handle.fileno())
        state = (of.st_dev, of.st_ino, of.st_size, of.st_mtime_ns, of.st_ctime_ns)
        if state not in _hashed:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
            if of.st_nlink == 1 or abs(time.time() - max(of.st_mtime, of.st_ctime)) < _TICK_S:
                return digest
            _hashed[state] = digest
        return _hashed[state]


def sha256_of_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below `folder`, by its relative POSIX path, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files}


def fingerprint_folder(folder: Path) -> str:
    """Return the fingerprint of a folder: the names and contents of its files, not their times."""
    return fingerprint_json(sha256_of_files(folder))
