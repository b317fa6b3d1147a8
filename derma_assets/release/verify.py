"""Whether a release holds what it says, and the documentation what the release says: everything computed anew."""

import difflib
import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from derma_assets.browser.bundle import MANIFEST
from derma_assets.calibration.summary import ece_by_chance
from derma_assets.calibration.views import of_views
from derma_assets.errors import InputError
from derma_assets.evaluation.report import SECTIONS
from derma_assets.release.archive import read_packed
from derma_assets.release.contents import TABLES
from derma_assets.release.layout import (
    BUNDLE,
    PREDICTIONS,
    changed_files,
    metrics_path,
    read_document,
    read_release,
    read_table,
)
from derma_assets.release.measured import Measured, blocks
from derma_assets.release.recompute import (
    Calibration,
    document_differences,
    recalibrated,
    recomputed,
    table_differences,
)
from derma_assets.splits.grouped_splits import TEST
from derma_assets.written_blocks import with_blocks

_COMMAND = "make readme"


def calibration_of(folder: Path) -> Calibration:
    """Return the temperatures and thresholds of a release."""
    names = ("calibrated_temperature", "operating_points", "view_calibration")
    return Calibration(*(read_document(folder, name) for name in names))


def remeasured(folder: Path) -> Measured:
    """Return what a release measured: from its logits alone what they give, and its other tables as they are.

    Raises:
        UserError: there is no release, or it does not say what its tables were made with.
    """
    release, calibration = read_release(folder), calibration_of(folder)
    test = release["test"]
    if "clinic_prevalence" not in test:
        raise InputError(
            f"{folder} is a release of an earlier version of the project: make it again with `make release`."
        )
    predictions = pd.read_parquet(folder / PREDICTIONS)
    tables = recomputed(
        predictions,
        calibration,
        test["bootstrap_resamples"],
        test["bootstrap_seed"],
        test["clinic_prevalence"],
    )
    stated = {name for name in (*SECTIONS, *tables) if name in TABLES or metrics_path(folder, name).is_file()}
    return Measured(
        release,
        {name: tables[name] if name in tables else read_table(folder, name) for name in stated},
        max(view["count"] for view in calibration.views["views"]),
        bundle_model_bytes(folder / BUNDLE),
        ece_by_chance(
            of_views(predictions, 1, TEST),
            calibration.temperature["temperature"],
            test["bootstrap_resamples"],
            test["bootstrap_seed"],
        ),
    )


def bundle_model_bytes(archive: Path) -> int:
    """Return how many bytes the converted model has in a packed bundle."""
    manifest = json.loads(read_packed(archive, MANIFEST))
    return sum(manifest["files"][path]["bytes"] for path in manifest["model"]["files"])


def differences(folder: Path, documents: Iterable[Path]) -> list[str]:
    """Return where a release or the documents differ from what the released logits give, a line each.

    Args:
        folder: The release.
        documents: Markdown files with blocks of `make readme`.

    Raises:
        UserError: there is no release.
    """
    found = [f"{path} is not as release.json says" for path in changed_files(folder)]
    if found:
        return found
    calibration, measured = calibration_of(folder), remeasured(folder)
    again = recalibrated(pd.read_parquet(folder / PREDICTIONS), calibration.points).documents()
    for name, document in calibration.documents().items():
        found += document_differences(name, document, again[name])
    for name, table in measured.tables.items():
        found += table_differences(name, read_table(folder, name), table)
    for path in documents:
        stated = path.read_text()
        found += _changed_lines(path.name, stated, rewritten(stated, measured))
    return found


def rewritten(document: str, measured: Measured) -> str:
    """Return a document with every block of `make readme` written anew.

    Raises:
        UserError: the document has no such block, or one that nothing is known about.
    """
    return with_blocks(document, _COMMAND, blocks(measured))


def _changed_lines(name: str, stated: str, anew: str) -> list[str]:
    compared = difflib.ndiff(stated.splitlines(), anew.splitlines())
    what = {"- ": "says", "+ ": "should say"}
    return [f"{name} {what[line[:2]]}: {line[2:]}" for line in compared if line[:2] in what]
