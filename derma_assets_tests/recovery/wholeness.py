"""Whether a store is whole: what its records say, what can be loaded, and what is served."""

import json
import os
import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from derma_assets.browser.bundle import changed_files
from derma_assets.promotion.served import CURRENT, current
from derma_assets.storage.fingerprint import fingerprint_folder
from derma_assets.storage.locks import LOCKS
from derma_assets.storage.paths import EXTENSIONS, promoted_path, scratch_path, stored_anywhere
from derma_assets.storage.records import StoredRecord, damaged_files, read_record
from derma_assets.training.checkpoint import TrainingState

# What says when or how fast, beside what the content is.
_CIRCUMSTANCES = {"raw_images": ["path", "mtime_ns"], "training_history": ["seconds"]}

# What is the same byte for byte: split, predictions, metrics and all that a clinic hosts.
_SAME_FILES = ("grouped_splits", "predictions", "operating_points", "overall_metrics", "tfjs_model", "tfjs_bundle")

_UNFINISHED = re.compile(r"\..*\.[0-9a-f]{8}\.(tmp.*|old|claim)")


def records(store: Path) -> dict[str, StoredRecord]:
    """Return the record of each stored asset by name; each must be as it was written."""
    found = {}
    for path in sorted((store / ".records").glob("*.json")):
        if _UNFINISHED.fullmatch(path.name):
            continue
        record = read_record(path)
        assert record is not None, f"{path} cannot be read"
        found[path.stem] = record
    return found


def assert_whole(data_dir: Path, dataset: str = "sample") -> None:
    """Fail unless every file in the store is what its record says, or can be loaded, and a whole bundle is served."""
    store = data_dir / "store" / dataset
    known = records(store)
    for name, record in known.items():
        stored = stored_anywhere(store, name)
        assert stored is not None, f"{name} has a record, but is not there"
        assert damaged_files(stored, record) == [], name
    for path in store.iterdir() if store.exists() else []:
        if path.name.startswith(".") or path.name.removesuffix(path.suffix) in known:
            continue
        if path.suffix == EXTENSIONS["table"]:
            pd.read_parquet(path)
        elif path.suffix == EXTENSIONS["document"]:
            json.loads(path.read_text())
        else:
            assert path.is_dir() or path.stat().st_size
    if (store / "tfjs_bundle").exists():
        assert changed_files(store / "tfjs_bundle") == []
    served = promoted_path(data_dir, dataset)
    if os.path.lexists(served / CURRENT):
        now = current(served)
        assert now is not None, "the link of what is served names nothing whole"
        assert changed_files(now.bundle) == []
        assert fingerprint_folder(now.bundle) == now.document["bundle"]


def epochs_kept(data_dir: Path, dataset: str = "sample") -> int:
    """Return how many epochs an interrupted training has behind it."""
    states = list(scratch_path(data_dir / "store" / dataset, "training").glob("[!.]*.npz"))
    return len(TrainingState.load(states[0]).history) if states else 0


def left_behind(data_dir: Path) -> list[str]:
    """Return the unfinished outputs below a folder."""
    everything = [path for path in data_dir.rglob("*") if LOCKS not in path.parts]
    unfinished = [path for path in everything if _UNFINISHED.fullmatch(path.name) or path.parent.name == ".building"]
    return [str(path.relative_to(data_dir)) for path in unfinished]


def assert_same(undisturbed: Path, disturbed: Path, dataset: str = "sample", but: Collection[str] = ()) -> None:
    """Fail unless all that is in the second store is in the first, bit for bit, but for when it was made and how fast.

    Args:
        undisturbed: Folder that the first run wrote to.
        disturbed: Folder of the second, which may have less.
        dataset: Which store below them.
        but: Assets that may differ.
    """
    first, second = (data_dir / "store" / dataset for data_dir in (undisturbed, disturbed))
    expected, found = records(first), records(second)
    assert found
    differ = {name for name, record in found.items() if record.data_version != expected[name].data_version}
    assert differ <= {*but}
    for path in sorted(second.glob("*.parquet")):
        left_out = _CIRCUMSTANCES.get(path.stem, [])
        one, other = (pd.read_parquet(store / path.name).drop(columns=left_out) for store in (first, second))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    for name in found.keys() & _SAME_FILES:
        assert found[name].sha256 == expected[name].sha256, name
