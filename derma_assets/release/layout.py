"""What lies where in a release, and reading it.

| path | what |
| --- | --- |
| `release.json` | manifest: what was released, from what, and SHA-256 and size of every other file |
| `bundle.tar.xz` | what a clinic hosts, packed |
| `weights.npz` | the classifier's weights, large kernels in half precision, by name of layer |
| `predictions.parquet` | logits of every validation and test picture, for each number of views |
| `splits.parquet` | on which side each picture was, and its perceptual hash |
| `metrics/*.csv` | the tables of the evaluation |
| `calibration/*.json` | temperatures and thresholds |
| `model_card.html`, `model_card.md` | if there is one |
| `LICENSE.md` | what one may do with it |
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from derma_assets.errors import InputError, UserError
from derma_assets.storage.fingerprint import sha256_of_files
from derma_assets.training.weights_file import SPLITS

RELEASE = "release.json"
BUNDLE = "bundle.tar.xz"
WEIGHTS = "weights.npz"
PREDICTIONS = "predictions.parquet"
LICENCE = "LICENSE.md"
FORMAT = 1

__all__ = ["BUNDLE", "FORMAT", "LICENCE", "PREDICTIONS", "RELEASE", "SPLITS", "WEIGHTS"]


def metrics_path(folder: Path, table: str) -> Path:
    """Return where a release keeps a table of the evaluation."""
    return folder / "metrics" / f"{table}.csv"


def calibration_path(folder: Path, document: str) -> Path:
    """Return where a release keeps a document of the calibration."""
    return folder / "calibration" / f"{document}.json"


def is_release(folder: Path) -> bool:
    """Return whether there is a release in `folder`."""
    return (folder / RELEASE).is_file()


def read_release(folder: Path) -> dict[str, Any]:
    """Return the manifest of a release.

    Raises:
        UserError: there is none, or it is of another version of the project.
    """
    if not is_release(folder):
        raise UserError(f"there is no release in {folder}: make one with `make release`.")
    manifest = json.loads((folder / RELEASE).read_text())
    if manifest["format"] != FORMAT:
        raise UserError(f"{folder / RELEASE} is of another version of the project: make the release again.")
    return manifest


def listed(folder: Path) -> dict[str, dict[str, Any]]:
    """Return SHA-256 and size of every file of a release but its manifest, by its path."""
    hashes = sha256_of_files(folder)
    hashes.pop(RELEASE, None)
    return {path: {"sha256": sha256, "bytes": (folder / path).stat().st_size} for path, sha256 in hashes.items()}


def changed_files(folder: Path) -> list[str]:
    """Return the files of a release that are not as its manifest says: changed, missing or added."""
    said, found = read_release(folder)["files"], listed(folder)
    return sorted(path for path in said.keys() | found.keys() if said.get(path) != found.get(path))


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, every number with all its digits."""
    path.parent.mkdir(exist_ok=True)
    table.to_csv(path, index=table.index.name is not None, lineterminator="\n")


def read_table(folder: Path, table: str) -> pd.DataFrame:
    """Read a table of the evaluation; what was its index is a column.

    Raises:
        InputError: the release has none of that name.
    """
    path = metrics_path(folder, table)
    if not path.is_file():
        raise InputError(f"the release lacks {path}: make it again.")
    return pd.read_csv(path, float_precision="round_trip")


def read_document(folder: Path, document: str) -> dict[str, Any]:
    """Read a document of the calibration.

    Raises:
        InputError: the release has none of that name.
    """
    path = calibration_path(folder, document)
    if not path.is_file():
        raise InputError(f"the release lacks {path}: make it again.")
    return json.loads(path.read_text())


def write_document(document: Mapping[str, Any], path: Path) -> None:
    """Write a document as JSON."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
