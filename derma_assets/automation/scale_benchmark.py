"""`python -m derma_assets.automation.scale_benchmark <step> <folder>`: one step on generated data, timed.

Each step is a process of its own, watched from outside, so that its peak of memory is its own. It reads what the steps
before have left in the folder, and writes what the later ones need, outside of what is timed.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from derma_assets.automation.scale_data import (
    generated_manifest,
    generated_metadata,
    generated_predictions,
    linked_files,
    write_picture,
    write_pictures,
)
from derma_assets.calibration.labelled_logits import labelled_logits
from derma_assets.dataset.manifest import build_manifest, manifest_fingerprint
from derma_assets.dataset.metadata_schema import read_metadata
from derma_assets.dataset.shards import shard_names
from derma_assets.errors import UserError
from derma_assets.evaluation import tables
from derma_assets.splits.grouped_splits import TEST, split_by_lesion
from derma_assets.splits.leakage import near_duplicates_across_sides
from derma_assets.splits.training_set import training_set
from derma_assets.storage.fingerprint import fingerprint_table
from derma_assets.training.benchmark_memory import watched

ROWS, PICTURES = "rows", "pictures"
RESAMPLES = 1000
SIZE, SHARDS = 96, 8
_SEED = 42
_RESULT = "result.json"
_POINTS = {"melanoma": {"threshold": 0.3}, "referral": {"threshold": 0.4}}
_METADATA, _DATASET = "metadata.csv", "ham10000"


@dataclass(frozen=True)
class Step:
    """What one step took.

    Attributes:
        name: Which.
        seconds: Of the clock.
        cpu_seconds: Of all processors, which other work on the machine does not lengthen.
        peak: Most bytes of memory that the process held.
        told: What it found, by name.
    """

    name: str
    seconds: float
    cpu_seconds: float
    peak: int
    told: dict[str, int]


def run_steps(kind: str, number: int, folder: Path) -> Iterator[Step]:
    """Generate so many rows or pictures in the new folder, then run the steps one by one.

    Raises:
        UserError: a step failed.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DERMA_")}
    environment |= {
        "DERMA_DATASET": "ham10000",
        "DERMA_HAM10000_DIR": str(folder / _DATASET),
        "DERMA_DATA_DIR": str(folder / "data"),
        "DERMA_IMAGE_SIZE": str(SIZE),
        "DERMA_SHARDS": str(SHARDS),
    }
    command = [sys.executable, "-m", "derma_assets.automation.scale_benchmark"]
    generate = subprocess.run([*command, f"generate_{kind}", str(folder), "--number", str(number)], env=environment)
    if generate.returncode:
        raise UserError("generating the data failed; it says why above")
    for name in STEPS[kind]:
        peak = watched([*command, name, str(folder)], environment).largest_process
        yield Step(name, peak=peak, **json.loads((folder / _RESULT).read_text()))


@contextmanager
def _timed(folder: Path, told: dict[str, int]) -> Iterator[None]:
    began, cpu = time.monotonic(), time.process_time()
    yield
    seconds = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu}
    (folder / _RESULT).write_text(json.dumps({**seconds, "told": told}))


def _generate_rows(folder: Path, number: int) -> None:
    metadata = generated_metadata(number, _SEED)
    metadata.to_csv(folder / _METADATA, index=False)
    files = linked_files(metadata["image_id"].tolist(), folder / "files")
    generated_manifest(metadata, files, _SEED).to_parquet(folder / "manifest.parquet")


def _generate_pictures(folder: Path, number: int) -> None:
    metadata = generated_metadata(number, _SEED)
    write_pictures(metadata["image_id"].tolist(), folder / _DATASET)
    metadata.to_csv(folder / _DATASET / "HAM10000_metadata.csv", index=False)


def _metadata_validation(folder: Path) -> None:
    told: dict[str, int] = {}
    with _timed(folder, told):
        metadata = read_metadata(folder / _METADATA)
        fingerprint_table(metadata)
        told["rows"] = len(metadata)
    metadata.to_parquet(folder / "metadata.parquet")


def _known_manifest(folder: Path) -> None:
    """Look at files that are all known already: what a run does that a few pictures are new to."""
    image_ids = pd.read_parquet(folder / "metadata.parquet")["image_id"].tolist()
    told: dict[str, int] = {}
    with _timed(folder, told):
        previous = pd.read_parquet(folder / "manifest.parquet")
        pictures = {path.stem: path for path in map(Path, previous["path"])}
        manifest = build_manifest(image_ids, pictures, folder, previous)
        manifest_fingerprint(manifest.table)
        told["read"], told["unchanged"] = manifest.read, manifest.unchanged


def _splits(folder: Path) -> None:
    metadata = pd.read_parquet(folder / "metadata.parquet")
    with _timed(folder, {}):
        splits = split_by_lesion(metadata, 0.1, 0.1, folds=5, seed=_SEED)
        fingerprint_table(splits)
    splits.to_parquet(folder / "splits.parquet")


def _grown_splits(folder: Path) -> None:
    metadata, earlier = (pd.read_parquet(folder / f"{name}.parquet") for name in ("metadata", "splits"))
    with _timed(folder, {}):
        fingerprint_table(
            split_by_lesion(metadata, 0.1, 0.1, folds=5, seed=_SEED, earlier=earlier.iloc[: -len(earlier) // 100])
        )


def _training_set(folder: Path) -> None:
    splits, manifest = (pd.read_parquet(folder / f"{name}.parquet") for name in ("splits", "manifest"))
    with _timed(folder, {}):
        first = training_set(splits, manifest.set_index("image_id")["sha256"], None, 0)
        fingerprint_table(training_set(splits, manifest.set_index("image_id")["sha256"], first, 50))


def _leakage_audit(folder: Path) -> None:
    splits, manifest = (pd.read_parquet(folder / f"{name}.parquet") for name in ("splits", "manifest"))
    told: dict[str, int] = {}
    with _timed(folder, told):
        pairs = near_duplicates_across_sides(splits, manifest)
        fingerprint_table(pairs)
        told["pairs"] = len(pairs)


def _bootstrap_tables(folder: Path) -> None:
    predictions = generated_predictions(pd.read_parquet(folder / "splits.parquet"), _SEED)
    told: dict[str, int] = {}
    with _timed(folder, told):
        test = labelled_logits(predictions, TEST)
        tables.overall_table(test, 1.2, _POINTS, RESAMPLES, _SEED)
        tables.per_class_table(test, 1.2, RESAMPLES, _SEED)
        tables.reliability_with_intervals(test, 1.2, RESAMPLES, _SEED)
        told["test_pictures"], told["resamples"] = len(test.labels), RESAMPLES


def _materialized(*names: str) -> Callable[[Path], None]:
    def step(folder: Path) -> None:
        # Not for the other steps: they would only wait for it.
        import dagster as dg

        from derma_assets.dataset import assets
        from derma_assets.settings import settings
        from derma_assets.storage.io_managers import io_managers

        made = [assets.raw_metadata, assets.raw_images, *assets.image_shards, assets.image_arrays]
        told: dict[str, int] = {}
        with _timed(folder, told):
            resources = io_managers(settings().store)
            run = dg.materialize(made, selection=list(names), resources=resources)
            for event in run.get_asset_materialization_events():
                metadata = event.materialization.metadata
                computed = metadata["reused"].value is False
                told["computed"] = told.get("computed", 0) + computed
                for name in ("files_read", "decoded"):
                    if name in metadata:
                        told[name] = told.get(name, 0) + (int(str(metadata[name].value)) if computed else 0)

    return step


def _one_new_picture(folder: Path) -> None:
    """Put one more picture into the data set, then make the manifest."""
    path = folder / _DATASET / "HAM10000_metadata.csv"
    new = pd.read_csv(path).iloc[[0]].assign(image_id="ISIC_new", lesion_id="HAM_new")
    new.to_csv(path, mode="a", header=False, index=False)
    write_picture("ISIC_new", folder / _DATASET / "0000", int(np.iinfo(np.int32).max))
    _materialized("raw_metadata", "raw_images")(folder)


STEPS: dict[str, dict[str, Callable[[Path], None]]] = {
    ROWS: {
        "metadata_validation": _metadata_validation,
        "known_manifest": _known_manifest,
        "splits": _splits,
        "grown_splits": _grown_splits,
        "training_set": _training_set,
        "leakage_audit": _leakage_audit,
        "bootstrap_tables": _bootstrap_tables,
    },
    PICTURES: {
        "manifest": _materialized("raw_metadata", "raw_images"),
        "image_shards": _materialized(*shard_names(SHARDS)),
        "image_arrays": _materialized("image_arrays"),
        "new_manifest": _one_new_picture,
        "new_image_shards": _materialized(*shard_names(SHARDS)),
        "new_image_arrays": _materialized("image_arrays"),
    },
}


def main(arguments: list[str] | None = None) -> int:
    """Run the step that is asked for and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m derma_assets.automation.scale_benchmark", description=__doc__)
    parser.add_argument("step")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--number", type=int, default=0)
    asked = parser.parse_args(arguments)
    if asked.step.startswith("generate_"):
        {ROWS: _generate_rows, PICTURES: _generate_pictures}[asked.step.removeprefix("generate_")](
            asked.folder, asked.number
        )
        return 0
    {**STEPS[ROWS], **STEPS[PICTURES]}[asked.step](asked.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
