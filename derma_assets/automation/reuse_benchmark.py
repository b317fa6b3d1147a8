"""What a run computes after one thing has changed: whole runs, each in its own copy of a finished store.

Written down by `reuse_benchmark_report`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

import derma_assets
from derma_assets.automation.jobs import retraining_job
from derma_assets.dataset.incoming import METADATA
from derma_assets.dataset.synthetic_skin import draw_picture
from derma_assets.diagnoses import MELANOMA
from derma_assets.errors import InputError
from derma_assets.settings import Settings
from derma_assets.splits.assets import AUTOMATIC
from derma_assets.storage.locks import LOCKS
from derma_assets.storage.paths import how_to_store, stored_path

COLUMNS = ["scenario", "asset", "reused", "seconds"]
NEW_PICTURE = "NEW_0000001"

_EMPTY = """
import dagster as dg

@dg.asset
def nothing():
    pass

defs = dg.Definitions(assets=[nothing], jobs=[dg.define_asset_job("retraining_job")])
"""

# The cheapest there is: what is measured is that it is trained, and what is computed after it.
OTHER_RECIPE = {"DERMA_EPOCHS": "1", "DERMA_TRAINABLE_LAYERS": "6"}


@dataclass(frozen=True)
class Scenario:
    """One change after a finished run.

    Attributes:
        name: In the table's columns.
        what: What is changed, for a reader.
        environment: Settings that differ.
        new_picture: Whether a picture of a new lesion is dropped in.
        automatic: Whether the daemon is what launches the run.
        docstring: Whether the docstring of an asset is changed.
        empty: Whether the run is of a graph of one asset that does nothing instead.
    """

    name: str
    what: str
    environment: dict[str, str] = field(default_factory=dict)
    new_picture: bool = False
    automatic: bool = False
    docstring: bool = False
    empty: bool = False


SCENARIOS = (
    Scenario("empty", "a graph of one asset that does nothing: what Dagster itself takes", empty=True),
    Scenario("nothing", "nothing"),
    Scenario("docstring", "the docstring of `predictions`", docstring=True),
    Scenario("threshold", "`DERMA_MELANOMA_SPECIFICITY=0.9`", {"DERMA_MELANOMA_SPECIFICITY": "0.9"}),
    Scenario("picture", "one picture of a new lesion; the daemon launches", new_picture=True, automatic=True),
    Scenario("recipe", "the recipe: one epoch of the last 6 layers", dict(OTHER_RECIPE)),
)


@dataclass(frozen=True)
class Measured:
    """One run.

    Attributes:
        scenario: Which.
        seconds: From the command to its end.
        assets: `COLUMNS`, in the order in which they were done; no rows of an empty graph.
        decoded: Pictures that were decoded.
        epochs: Epochs that were trained.
    """

    scenario: Scenario
    seconds: float
    assets: pd.DataFrame
    decoded: int
    epochs: int


def measured(scenario: Scenario, chosen: Settings, home: Path, folder: Path) -> Measured:
    """Run one scenario to its end in a copy of what is stored.

    Args:
        scenario: Which.
        chosen: Settings; their store is finished and stays as it is.
        home: Dagster's folder, which knows of the finished run.
        folder: Empty, outside the data folder, on the same file system: what is stored is linked, not copied.

    Raises:
        InputError: the store is not finished, or not below the data folder.
        RuntimeError: the run failed.
    """
    if chosen.storage:
        # Its runs would be stored there.
        raise InputError("this runs in copies of the store below the data folder: unset DERMA_STORAGE.")
    bundle = stored_path(chosen.store, "tfjs_bundle", "folder")
    if not bundle.exists():
        raise InputError(how_to_store("tfjs_bundle", bundle))
    data = folder / "data"
    # Nothing stored is ever changed in place, so a link is as good as a copy; but a lock is one for both.
    elsewhere = shutil.ignore_patterns(home.name, "release", "incoming", LOCKS)
    shutil.copytree(chosen.root, data, copy_function=os.link, ignore=elsewhere, symlinks=True)
    shutil.copytree(home, folder / "home")
    incoming = folder / "incoming"
    environment = {
        **os.environ,
        **scenario.environment,
        "DERMA_DATA_DIR": str(data),
        "DERMA_RELEASE_DIR": str(chosen.release),
        "DERMA_INCOMING_DIR": str(incoming),
        "DAGSTER_HOME": str(folder / "home"),
    }
    environment.pop("DAGSTER_MODULE_NAME", None)  # a second answer to which graph to run
    if scenario.new_picture:
        drop_picture(incoming / "one")
    if scenario.docstring:
        environment["PYTHONPATH"] = str(with_another_docstring(folder / "code"))
    code = "derma_assets.definitions"
    if scenario.empty:
        code = "empty_graph"
        (folder / f"{code}.py").write_text(_EMPTY)
    tags = {"benchmark": scenario.name, **({AUTOMATIC: "true"} if scenario.automatic else {})}
    command = ["dagster", "job", "execute", "-m", code, "-j", retraining_job.name, "--tags", json.dumps(tags)]
    started = time.monotonic()
    done = subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:]],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"the run {scenario.name!r} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    with dg.DagsterInstance.from_config(str(folder / "home")) as instance:
        return _read(scenario, seconds, instance)


def _read(scenario: Scenario, seconds: float, instance: dg.DagsterInstance) -> Measured:
    (run,) = instance.get_runs(filters=dg.RunsFilter(tags={"benchmark": scenario.name}), limit=1)
    took: dict[str, float] = {}
    said: dict[str, Mapping[str, Any]] = {}
    step_of: dict[str, str] = {}
    for event in instance.all_logs(run.run_id):
        happened = event.dagster_event
        if happened is None or event.step_key is None:
            continue
        if happened.is_step_success:
            took[event.step_key] = happened.step_success_data.duration_ms / 1000
        if happened.is_step_materialization and happened.asset_key is not None and not scenario.empty:
            name = happened.asset_key.path[-1]
            said[name], step_of[name] = happened.materialization.metadata, event.step_key
    rows = [(scenario.name, name, said[name]["reused"].value is True, took[step_of[name]]) for name in said]
    return Measured(
        scenario,
        seconds,
        pd.DataFrame(rows, columns=COLUMNS),
        decoded=sum(_new(said, name, "decoded") for name in said if "decoded" in said[name]),
        epochs=_new(said, "training_history", "epochs"),
    )


def _new(said: Mapping[str, Mapping[str, Any]], asset: str, key: str) -> int:
    """Return what an asset says of itself if it was computed, else 0."""
    metadata = said.get(asset, {})
    return 0 if not metadata or metadata["reused"].value is True else int(metadata[key].value)


def drop_picture(folder: Path) -> None:
    """Put one picture of a new lesion, as a batch of its own, into the new folder `folder`."""
    folder.mkdir(parents=True)
    draw_picture(MELANOMA, 1, 0).save(folder / f"{NEW_PICTURE}.jpg", quality=95)
    row = {"lesion_id": "NEW_L1", "image_id": NEW_PICTURE, "dx": MELANOMA, "dx_type": "histo"}
    row |= {"age": "50", "sex": "female", "localization": "back", "dataset": "benchmark"}
    pd.DataFrame([row]).to_csv(folder / METADATA, index=False)


def with_another_docstring(folder: Path) -> Path:
    """Return a folder with the package in it, a word of one docstring changed."""
    package = Path(derma_assets.__file__).parent
    copy = folder / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / "training" / "assets.py"
    text, changes = re.subn('"""Logits of every', '"""The logits of every', file.read_text(), count=1)
    assert changes == 1, file
    file.write_text(text)
    return folder
