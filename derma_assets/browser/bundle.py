"""The folder a clinic hosts: page, model, and a manifest with everything the page shows and a SHA-256 of every file.

It is made of content only, without times or machine names: equal inputs give an equal bundle.
"""

import importlib.metadata
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from derma_assets.browser.precache import SERVICE_WORKER, fill_precache, is_precached
from derma_assets.dataset.preprocessing import PREPROCESSING_VERSION
from derma_assets.diagnoses import DIAGNOSES, DISCLAIMER, MALIGNANT, MELANOMA
from derma_assets.errors import InputError
from derma_assets.storage.atomic import copy_folder
from derma_assets.storage.fingerprint import sha256_of_file, sha256_of_files

MANIFEST = "manifest.json"
SCHEMA_VERSION = 2  # The page refuses another (web/src/manifest.ts).
SYNTHETIC_NOTICE = "Demonstration model trained on generated pictures: not for any real use."
MODEL = "model"
_TOPOLOGY = f"{MODEL}/model.json"

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
_SUBGROUP_COLUMNS = ["attribute", "group", "metric", "value", "low", "high", "images", "lesions"]
_REFUSAL_COLUMNS = ["kind", "bad", "pictures", "refused", "share", "low", "high"]


@dataclass(frozen=True)
class Findings:
    """What the tables on test say: the page's "About this model".

    Attributes:
        overall: The table `overall_metrics`.
        per_class: The table `per_class_metrics`.
        subgroups: The table `subgroup_metrics`.
        views: The table `view_metrics`.
        refusals: The table `refusal_rates`.
    """

    overall: pd.DataFrame
    per_class: pd.DataFrame
    subgroups: pd.DataFrame
    views: pd.DataFrame
    refusals: pd.DataFrame


def describe(
    dataset: str,
    size: int,
    view_calibration: Mapping[str, Any],
    time_budget_ms: int,
    limits: Mapping[str, Any],
    findings: Findings,
    data_versions: Mapping[str, str],
) -> dict[str, Any]:
    """Return the manifest as far as it does not depend on the files of the bundle.

    Args:
        dataset: `sample` or `ham10000`.
        size: Side in pixels of the model's input.
        view_calibration: The document of that name.
        time_budget_ms: How long one picture may take with more than one view, in milliseconds.
        limits: `InputGuard.document` of the guard whose unfamiliarity the model computes.
        findings: What the page shows of the evaluation.
        data_versions: Data version of every asset that went in, by its name.

    Raises:
        InputError: temperatures or thresholds are no usable numbers, or the first of the views is not a single one.
    """
    name, licence = _DATASETS[dataset]
    synthetic = dataset == "sample"
    views = [_views(calibrated) for calibrated in view_calibration["views"]]
    if not views or views[0]["count"] != 1:
        raise InputError("view_calibration lacks the single view: materialize the calibration stage again.")
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
        "views": views,
        "time_budget_ms": time_budget_ms,
        "guard": {
            "measures": [_limits(measure) for measure in limits["measures"]],
            "refusals": _records(findings.refusals[_REFUSAL_COLUMNS]),
        },
        "metrics": {
            "overall": _records(findings.overall),
            "per_class": _records(findings.per_class),
            "subgroups": _records(findings.subgroups[_SUBGROUP_COLUMNS]),
            "views": _records(findings.views),
        },
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

    Raises:
        InputError: the page has no service worker, or one that cannot be told what to keep.
    """
    shutil.rmtree(folder, ignore_errors=True)
    copy_folder(page, folder)
    copy_folder(model, folder / MODEL)
    manifest = _write_manifest(folder, variant, description)
    fill_precache(folder / SERVICE_WORKER, _page_files(folder, manifest))
    return manifest


def with_variant(folder: Path, bundle: Path, model: Path, variant: str) -> dict[str, Any]:
    """Write a copy of `bundle` with another variant of the model to `folder`, replacing what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    copy_folder(bundle, folder)
    shutil.rmtree(folder / MODEL)
    copy_folder(model, folder / MODEL)
    before = read_manifest(bundle)
    manifest = _write_manifest(folder, variant, before)
    fill_precache(folder / SERVICE_WORKER, _page_files(folder, manifest), instead_of=_page_files(bundle, before))
    return manifest


def read_manifest(bundle: Path) -> dict[str, Any]:
    """Return the manifest of a bundle."""
    return json.loads((bundle / MANIFEST).read_text())


def changed_files(bundle: Path) -> list[str]:
    """Return the files of a bundle that are not as its manifest says: changed, missing or added.

    Of the service worker, which the manifest cannot list, it is what it keeps that must be what the manifest says.
    """
    manifest, found = read_manifest(bundle), sha256_of_files(bundle)
    listed = {path: entry["sha256"] for path, entry in manifest["files"].items()}
    for path in (MANIFEST, SERVICE_WORKER):
        found.pop(path, None)
    changed = {path for path in listed.keys() | found.keys() if listed.get(path) != found.get(path)}
    if not is_precached(bundle / SERVICE_WORKER, _page_files(bundle, manifest)):
        changed.add(SERVICE_WORKER)
    return sorted(changed)


def _write_manifest(folder: Path, variant: str, description: Mapping[str, Any]) -> dict[str, Any]:
    (folder / MANIFEST).unlink(missing_ok=True)
    hashes = sha256_of_files(folder)
    hashes.pop(SERVICE_WORKER, None)
    files = {path: {"sha256": sha256, "bytes": (folder / path).stat().st_size} for path, sha256 in hashes.items()}
    of_model = [path for path in files if path.startswith(f"{MODEL}/")]
    model = {"variant": variant, "topology": _TOPOLOGY, "files": of_model}
    manifest = {**description, "model": model, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
    return manifest


def _page_files(folder: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of every file of a bundle but the model's, by its path."""
    files = {path: entry["sha256"] for path, entry in manifest["files"].items() if not path.startswith(f"{MODEL}/")}
    return {**files, MANIFEST: sha256_of_file(folder / MANIFEST)}


def _views(calibrated: Mapping[str, Any]) -> dict[str, Any]:
    points = calibrated["operating_points"]
    return {
        "count": int(calibrated["count"]),
        "temperature": _usable(calibrated["temperature"], "the calibrated temperature", above=0.0),
        "operating_points": [
            {
                "key": key,
                "name": title,
                "codes": list(codes),
                "threshold": _usable(points[key]["threshold"], f"the threshold of {key}"),
                "sensitivity": _number(points[key].get("sensitivity")),
                "specificity": _number(points[key].get("specificity")),
            }
            for key, (title, codes) in _OPERATING_POINTS.items()
        ],
    }


def _limits(measure: Mapping[str, Any]) -> dict[str, Any]:
    ends = {
        end: None if measure[end] is None else _usable(measure[end], f"a limit of {measure['name']}", above=-math.inf)
        for end in ("low", "high")
    }
    return {"name": measure["name"], **ends}


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
