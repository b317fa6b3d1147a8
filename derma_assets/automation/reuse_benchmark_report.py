"""`python -m derma_assets.automation.reuse_benchmark_report`: what a run computes after one thing has changed.

Needs a finished run. Writes `reuse.md`, `reuse.csv` (assets) and `reuse_runs.csv`, and the tables in README.md.
"""

import argparse
import datetime
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from derma_assets.automation.reuse_benchmark import SCENARIOS, Measured, Scenario, measured
from derma_assets.errors import told_to_the_user
from derma_assets.machine import machine
from derma_assets.settings import settings
from derma_assets.storage.atomic import replacing
from derma_assets.written_blocks import with_blocks

# Settings that make the finished run cheap and change nothing in what is asked here.
_CHEAPER = ("DERMA_EPOCHS", "DERMA_TRAINABLE_LAYERS", "DERMA_LATENCY_RUNS")

COMMAND = "make bench-reuse"
_RUNS, _ASSETS = "reuse_runs.csv", "reuse.csv"
_NAMES = [one.name for one in SCENARIOS]
AIM = "with nothing changed nothing decoded, trained or converted, in 20 s more than an empty run"


@dataclass(frozen=True)
class Circumstances:
    """What a reader must know to measure the same.

    Attributes:
        command: How it was run.
        date: When.
        machine: On what.
        dataset: The data set.
    """

    command: str
    date: str
    machine: str
    dataset: str


def all_assets(runs: Sequence[Measured]) -> pd.DataFrame:
    """Return the assets of all runs below each other; an empty graph has none."""
    return pd.concat([run.assets for run in runs if len(run.assets)], ignore_index=True)


def asset_table(assets: pd.DataFrame) -> pd.DataFrame:
    """Return, for each asset and scenario, the seconds that it was computed for, or a dot where it was reused.

    Args:
        assets: The columns `COLUMNS` of all runs, see `all_assets`.
    """
    shown = assets["seconds"].map("{:.1f} s".format).mask(assets["reused"], "·")
    rows, columns = assets["asset"].unique(), assets["scenario"].unique()
    table = assets.assign(shown=shown).pivot(index="asset", columns="scenario", values="shown").fillna("")
    return table.loc[rows, columns].rename_axis(index="asset", columns=None)


def run_table(runs: Sequence[Measured]) -> pd.DataFrame:
    """Return one row a run: how long it took, and how much of the costly work it did."""
    return pd.DataFrame(
        {
            "run": [run.scenario.name for run in runs],
            "what changed": [run.scenario.what for run in runs],
            "seconds": [round(run.seconds, 1) for run in runs],
            "assets computed": [int((~run.assets["reused"].astype(bool)).sum()) for run in runs],
            "assets reused": [int(run.assets["reused"].sum()) for run in runs],
            "pictures decoded": [run.decoded for run in runs],
            "epochs trained": [run.epochs for run in runs],
        }
    )


def tables_markdown(runs: pd.DataFrame, assets: pd.DataFrame) -> str:
    """Return what README.md shows: the runs, and folded below them each asset.

    Args:
        runs: See `run_table`.
        assets: See `all_assets`.
    """
    return f"""\
{runs.to_markdown(index=False)}

<details>
<summary>Asset by asset: a dot was reused, seconds were computed</summary>

{asset_table(assets).to_markdown()}

</details>"""


def report_markdown(runs: pd.DataFrame, assets: pd.DataFrame, on: Circumstances) -> str:
    """Return the page; the tables are those of `tables_markdown`."""
    return f"""\
# What a run computes after one thing has changed

Every row is a whole run (`dagster job execute -j retraining_job`) after a finished one of {on.dataset},
each in a copy of its own of all that was stored. `seconds` go from the command to its end, the start
of Python and Dagster included; `empty` says how much of that they take.

- Command: `{on.command}`
- {on.date}, {on.machine}
- Aimed at: {AIM}.

{runs.to_markdown(index=False)}

A dot: answered with what is stored. Seconds: computed. What has a time under `nothing` looks at files
every time, to see whether they have changed. Only `empty`, `nothing` and `docstring` are to be compared by their
seconds: other work may have run beside the others. A picture of a new lesion waits until there are as many as
`DERMA_RETRAIN_LESIONS` says, so that nothing is trained for one.

{asset_table(assets).to_markdown()}
"""


@told_to_the_user
def main(arguments: Sequence[str] | None = None) -> None:
    """Run every scenario, write the page and the table."""
    parser = argparse.ArgumentParser(
        prog="python -m derma_assets.automation.reuse_benchmark_report", description=__doc__
    )
    parser.add_argument("--folder", type=Path, default=Path("docs"), help="where to write to, default docs")
    parser.add_argument("--readme", type=Path, default=Path("README.md"), help="document with the block `reuse`")
    parser.add_argument("--only", nargs="+", choices=_NAMES, help="run these, and keep what was measured of the others")
    options = parser.parse_args(arguments)
    chosen = settings()
    scenarios = [one for one in SCENARIOS if options.only is None or one.name in options.only]
    measured_runs = [_measured(one) for one in tqdm(scenarios, desc="runs", file=sys.stderr)]
    runs, assets = run_table(measured_runs), all_assets(measured_runs)
    if options.only is not None:
        runs = with_earlier(runs, options.folder / _RUNS, "run")
        assets = with_earlier(assets, options.folder / _ASSETS, "scenario")
    given = [f"{name}={shlex.quote(os.environ[name])}" for name in _CHEAPER if name in os.environ]
    command = " ".join([*given, f"{COMMAND} DERMA_DATASET={chosen.dataset}"])
    on = Circumstances(command, datetime.date.today().isoformat(), machine(), chosen.dataset)
    write_down(runs, assets, on, options.folder, options.readme)
    print(runs.to_markdown(index=False))


def with_earlier(rows: pd.DataFrame, path: Path, column: str) -> pd.DataFrame:
    """Return rows with those of other runs that were written down before, in the order of the runs.

    Args:
        rows: See `run_table` and `all_assets`.
        path: Where they were written down.
        column: Which run a row is of.
    """
    if not path.exists():
        return rows
    earlier = pd.read_csv(path)
    both = pd.concat([earlier[~earlier[column].isin(rows[column])], rows], ignore_index=True)
    return both.sort_values(column, key=lambda names: names.map(_NAMES.index), kind="stable", ignore_index=True)


def write_down(runs: pd.DataFrame, assets: pd.DataFrame, on: Circumstances, folder: Path, readme: Path) -> None:
    """Write the page and both tables into `folder`, and the block `reuse` of the document `readme`."""
    assets = assets.round({"seconds": 2})  # as in the table that README.md is compared with
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reuse.md").write_text(report_markdown(runs, assets, on))
    runs.to_csv(folder / _RUNS, index=False)
    assets.to_csv(folder / _ASSETS, index=False)
    text = with_blocks(readme.read_text(), COMMAND, {"reuse": lambda: tables_markdown(runs, assets)})
    with replacing(readme) as beside:
        beside.write_text(text)


def _measured(scenario: Scenario) -> Measured:
    chosen = settings()
    home = Path(os.environ["DAGSTER_HOME"]).resolve()
    with tempfile.TemporaryDirectory(dir=chosen.root.parent, prefix=".bench-reuse-") as folder:
        return measured(scenario, chosen, home, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
