"""Fingerprints of contents: what a data version of an asset is made of. Equal content, equal fingerprint."""

import hashlib
import json
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


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_of_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below `folder`, by its relative POSIX path, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files}


def fingerprint_folder(folder: Path) -> str:
    """Return the fingerprint of a folder: the names and contents of its files, not their times."""
    return fingerprint_json(sha256_of_files(folder))
