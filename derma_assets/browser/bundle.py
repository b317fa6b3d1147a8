"""The folder a clinic hosts: page, model, and a manifest with everything the page shows and a SHA-256 of every file.

It is made of content only, without times or machine names: equal inputs give an equal bundle.
"""

import importlib.metadata
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION
from derma_assets.diagnoses import DIAGNOSES, DISCLAIMER, MALIGNANT, MELANOMA
from derma_assets.errors import InputError
from derma_assets.storage.atomic import copy_folder
from derma_assets.storage.fingerprint import sha256_of_files

MANIFEST = "manifest.json"
SCHEMA_VERSION = 1  # The page refuses another (web/src/manifest.ts).
SYNTHETIC_NOTICE = "Demonstration model trained on generated pictures: not for any real use."
_MODEL = "model"
_TOPOLOGY = f"{_MODEL}/model.json"

_DATASETS = {
    "sample": ("Embedded synthetic sample", "Generated pictures, no licence attached."),
    "ham10000": (
        "HAM10000 (Tschandl, Rosendahl, Kittler 2018)",
        "Trained on HAM10000, which is licensed CC BY-NC 4.0: non-commercial use, with attribution.",
    ),
}
# Which probabilities add up to each operating point's score, and what the page calls it.
_OPERATING_POINTS = {
    "referral": ("Any malignant diagnosis", MALIGNANT),
    "melanoma": ("Melanoma", (MELANOMA,)),
}
_PACKAGES = ("derma_assets", "keras", "tensorflow", "tensorflowjs", "pillow")


def describe(
    dataset: str,
    size: int,
    temperature: Mapping[str, Any],
    operating_points: Mapping[str, Any],
    overall_metrics: pd.DataFrame,
    per_class_metrics: pd.DataFrame,
    data_versions: Mapping[str, str],
) -> dict[str, Any]:
    """Return the manifest as far as it does not depend on the files of the bundle.

    Args:
        dataset: `sample` or `ham10000`.
        size: Side in pixels of the model's input.
        temperature: The document `calibrated_temperature`.
        operating_points: The document `operating_points`.
        overall_metrics: The table of that name.
        per_class_metrics: The table of that name.
        data_versions: Data version of every asset that went in, by its name.

    Raises:
        InputError: temperature or thresholds are no usable numbers.
    """
    name, licence = _DATASETS[dataset]
    synthetic = dataset == "sample"
    return {
        "schema_version": SCHEMA_VERSION,
        "title": "Skin-lesion triage",
        "disclaimer": DISCLAIMER,
        "dataset": {
            "name": name,
            "synthetic": synthetic,
            "notice": SYNTHETIC_NOTICE if synthetic else "",
            "licence": licence,
        },
        "labels": [
            {"code": label.code, "name": label.name, "malignant": label.malignant, "colour": label.colour}
            for label in DIAGNOSES
        ],
        "preprocessing": {
            "version": PREPROCESSING_VERSION,
            "orientation": "EXIF",
            "alpha": "over white",
            "crop": "centre square",
            "size": size,
            "resize": "Pillow BILINEAR, antialiased, 8-bit fixed point",
            "input": f"float32 RGB 0..255, (n, {size}, {size}, 3)",
        },
        "temperature": _usable(temperature["temperature"], "the calibrated temperature", above=0.0),
        "operating_points": [
            {
                "name": title,
                "codes": list(codes),
                "threshold": _usable(operating_points[key]["threshold"], f"the threshold of {key}"),
                "sensitivity": _number(operating_points[key].get("sensitivity")),
                "specificity": _number(operating_points[key].get("specificity")),
            }
            for key, (title, codes) in _OPERATING_POINTS.items()
        ],
        "metrics": {"overall": _records(overall_metrics), "per_class": _records(per_class_metrics)},
        "versions": {"code": _code_versions(), "data": dict(data_versions)},
    }


def write_bundle(folder: Path, page: Path, model: Path, variant: str, description: Mapping[str, Any]) -> dict[str, Any]:
    """Write a bundle to `folder` and return its manifest.

    Args:
        folder: Where to; what is there is replaced.
        page: The built page (`web_build.build_page`).
        model: Folder of one variant of the graph model.
        variant: That variant's name.
        description: From `describe`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    copy_folder(page, folder)
    copy_folder(model, folder / _MODEL)
    return _write_manifest(folder, variant, description)


def with_variant(folder: Path, bundle: Path, model: Path, variant: str) -> dict[str, Any]:
    """Write a copy of `bundle` with another variant of the model to `folder`, replacing what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    copy_folder(bundle, folder)
    shutil.rmtree(folder / _MODEL)
    copy_folder(model, folder / _MODEL)
    return _write_manifest(folder, variant, read_manifest(bundle))


def read_manifest(bundle: Path) -> dict[str, Any]:
    """Return the manifest of a bundle."""
    return json.loads((bundle / MANIFEST).read_text())


def changed_files(bundle: Path) -> list[str]:
    """Return the files of a bundle that are not as its manifest says: changed, missing or added."""
    listed, found = read_manifest(bundle)["files"], sha256_of_files(bundle)
    found.pop(MANIFEST, None)
    return sorted(path for path in listed.keys() | found.keys() if listed.get(path) != found.get(path))


def _write_manifest(folder: Path, variant: str, description: Mapping[str, Any]) -> dict[str, Any]:
    (folder / MANIFEST).unlink(missing_ok=True)
    files = sha256_of_files(folder)
    of_model = [path for path in files if path.startswith(f"{_MODEL}/")]
    model = {"variant": variant, "topology": _TOPOLOGY, "files": of_model}
    manifest = {**description, "model": model, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
    return manifest


def _usable(value: Any, what: str, above: float = -1.0) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value) or value <= above:
        raise InputError(f"{what} is {value!r}, which the page cannot use: materialize the calibration stage again.")
    return float(value)


def _number(value: Any) -> float | None:
    """Return a finite number, or None: JSON has no NaN."""
    return float(value) if value is not None and math.isfinite(value) else None


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows; a missing value is None."""
    return json.loads(table.to_json(orient="records", double_precision=10))


def _code_versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # Run from a checkout that is not installed.
            versions[package] = "not installed"
    return versions
