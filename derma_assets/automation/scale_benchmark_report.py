"""`python -m derma_assets.automation.scale_benchmark_report`: how time and memory grow with the data, written down.

Writes `scaling.md` and `scaling.csv`, after each step anew, so that a run that is broken off leaves what it has. What
was measured before of sizes that are not asked for now is kept.
"""

import argparse
import datetime
import math
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from derma_assets.automation.scale_benchmark import PICTURES, RESAMPLES, ROWS, SHARDS, SIZE, run_steps
from derma_assets.errors import told_to_the_user
from derma_assets.machine import machine

COLUMNS = ["kind", "number", "step", "seconds", "cpu_seconds", "peak_bytes", "told", "date"]
MOST_GIB = 4.0
_SIZES = {ROWS: [10_000, 100_000, 1_000_000], PICTURES: [10_000, 50_000]}
# What takes less is mostly start-up, and says nothing about growth.
_LEAST_S = 0.5
_WHAT = {
    "metadata_validation": "metadata read and checked",
    "known_manifest": "manifest, all files known",
    "splits": "splits",
    "grown_splits": "splits, one picture in a hundred new",
    "training_set": "training set, twice",
    "leakage_audit": "leakage audit",
    "bootstrap_tables": "bootstrap tables",
    "manifest": "metadata and manifest",
    "image_shards": "shards of pictures",
    "image_arrays": "shards gathered",
    "new_manifest": "one new picture: metadata and manifest",
    "new_image_shards": "one new picture: shards",
    "new_image_arrays": "one new picture: shards gathered",
}


def with_growth(steps: pd.DataFrame) -> pd.DataFrame:
    """Return the steps with `growth`: the exponent by which processor time grew since the next smaller size.

    1 is as much as the data, 2 its square. NaN at the smallest size, and where the smaller one took under half a
    second.

    Args:
        steps: The columns `COLUMNS`.
    """
    ordered = steps.sort_values(["kind", "step", "number"], kind="stable")
    by_step = ordered.groupby(["kind", "step"], sort=False)
    before, smaller = by_step["cpu_seconds"].shift(), by_step["number"].shift()
    growth = [
        math.log(now / then) / math.log(number / less) if then >= _LEAST_S and now > 0 else float("nan")
        for now, then, number, less in zip(ordered["cpu_seconds"], before, ordered["number"], smaller, strict=True)
    ]
    return ordered.assign(growth=growth).loc[steps.index]


def steps_table(steps: pd.DataFrame, kind: str) -> str:
    """Return the steps of one kind as a Markdown table, size by size.

    Args:
        steps: The columns `COLUMNS`.
        kind: `ROWS` or `PICTURES`.
    """
    rows = [
        {
            "step": _WHAT[row["step"]],
            kind: f"{row['number']:,}",
            "seconds": f"{row['seconds']:,.1f}",
            "processor seconds": f"{row['cpu_seconds']:,.1f}",
            "peak, GiB": f"{row['peak_bytes'] / 2**30:.2f}",
            "growth": "" if math.isnan(row["growth"]) else f"{row['growth']:.2f}",
            "found": row["told"],
            "date": row["date"],
        }
        for _, row in with_growth(steps).iterrows()
        if row["kind"] == kind
    ]
    order = list(_WHAT)
    rows.sort(key=lambda row: next(place for place, name in enumerate(order) if _WHAT[name] == row["step"]))
    align = ["left", *["right"] * 5, "left", "left"]
    return pd.DataFrame(rows).to_markdown(index=False, colalign=align, disable_numparse=True) if rows else "Not run."


def report_markdown(steps: pd.DataFrame, command: str, busy: str) -> str:
    """Return all that was measured as Markdown, with what is needed to read it."""
    return f"""\
# How time and memory grow with the data

Generated data, each step in a process of its own. `growth` is the exponent of processor time since the size before: 1
is as much as the data, 2 its square; it is left out where the smaller size took less than half a second. The clock runs
on while other work has the processors; processor time does not. Memory is the most that one process held. Aimed at:
growth at most linear, and less than {MOST_GIB:g} GiB in any process. A growth somewhat above 1 is that of sorting
(n log n: 1.08 to 1.1) and of the processor's caches: what fits into them at the smaller size does not at the larger.

| | |
| --- | --- |
| Command | `{command}` |
| Machine | {machine()} |
| Busy before | {busy} |

## Rows

Metadata as HAM10000's, 1.34 pictures a lesion; perceptual hashes of one lesion differ in a few bits, and one lesion in
a thousand looks like another. The manifest finds every file known and unchanged, as it does in all runs but the first.
Bootstrap tables: all figures, those of each diagnosis, and reliability, of the test side (a tenth of the rows), each
with {RESAMPLES:,} resamples of lesions.

{steps_table(steps, ROWS)}

## Pictures

Small JPEG files, decoded to {SIZE} px into {SHARDS} shards, by the assets themselves. Then one more picture is put into
the data set, and all of it is run again: of the shards only the new picture's is computed, and only it is decoded.

{steps_table(steps, PICTURES)}
"""


def in_order_of_size(measured: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    """Return the columns `COLUMNS`, kind by kind, size by size, in the order in which the steps are run."""
    table = pd.DataFrame(measured, columns=COLUMNS)
    places = [table["kind"].map(list(_SIZES).index), table["number"], table["step"].map(list(_WHAT).index)]
    return table.iloc[np.lexsort(places[::-1])].reset_index(drop=True)


def _kept(path: Path, asked: dict[str, list[int]]) -> list[tuple[object, ...]]:
    """Return what was measured before of other sizes than those that are asked for now."""
    if not path.exists():
        return []
    rows = pd.read_csv(path, keep_default_na=False)[COLUMNS].itertuples(index=False, name=None)
    return [row for row in rows if row[1] not in asked[row[0]]]


@told_to_the_user
def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m derma_assets.automation.scale_benchmark_report")
    for kind, sizes in _SIZES.items():
        text = " ".join(map(str, sizes))
        parser.add_argument(f"--{kind}", type=int, nargs="*", default=sizes, help=f"how many, default {text}")
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder to write to, default docs")
    asked = parser.parse_args(arguments)
    sizes_of = {kind: sorted(getattr(asked, kind)) for kind in _SIZES}
    given = [f"--{kind} {' '.join(map(str, sizes))}" for kind, sizes in sizes_of.items() if sizes != _SIZES[kind]]
    command = "make bench-scale" + (f" OPTIONS={shlex.quote(' '.join(given))}" if given else "")
    busy = f"{psutil.cpu_percent(interval=2):.0f} % of all cores, with other work"
    asked.output.mkdir(parents=True, exist_ok=True)
    measured = _kept(asked.output / "scaling.csv", sizes_of)
    for kind in _SIZES:
        for number in sizes_of[kind]:
            with tempfile.TemporaryDirectory(prefix="scale-") as folder:
                for step in run_steps(kind, number, Path(folder)):
                    told = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in step.told.items())
                    figures = [step.seconds, step.cpu_seconds, step.peak, told]
                    measured.append((kind, number, step.name, *figures, datetime.date.today().isoformat()))
                    print(measured[-1], flush=True)
                    steps = in_order_of_size(measured)
                    steps.to_csv(asked.output / "scaling.csv", index=False, float_format="%.2f")
                    (asked.output / "scaling.md").write_text(report_markdown(steps, command, busy))
    print(f"Written: {asked.output / 'scaling.md'} and {asked.output / 'scaling.csv'}")


if __name__ == "__main__":
    sys.exit(main())
