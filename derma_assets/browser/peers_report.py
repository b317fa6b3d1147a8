"""`python -m derma_assets.browser.peers_report`: time the stored bundle, alone and beside its peers, and write it down.

Writes `latency.md` and `latency.csv`.
"""

import argparse
import datetime
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from derma_assets.browser.bundle import read_manifest
from derma_assets.browser.chromium import ADVICE, BrowserUnavailable, find_browser
from derma_assets.browser.graph_model import deployed_model
from derma_assets.browser.latency import CONDITIONS, LABEL, MEASURED, STATISTICS, Latency, measure_latency
from derma_assets.browser.peers import OURS, ROUNDS, Reference, compare_peers
from derma_assets.browser.peers_models import logits_model
from derma_assets.browser.peers_page import build_peers_page
from derma_assets.calibration.input_guard import read_guard
from derma_assets.dataset.image_arrays import ImageArrays
from derma_assets.dataset.spread import spread_rows
from derma_assets.errors import InputError, told_to_the_user
from derma_assets.machine import machine
from derma_assets.settings import Settings, settings
from derma_assets.storage.paths import how_to_store
from derma_assets.storage.published import fetched_path
from derma_assets.tensorflow_runtime import import_keras
from derma_assets.training.backbones import BACKBONES
from derma_assets.training.classifier import architecture_of

REFERENCE_PICTURES = 8
_COLD_RUNS = 20
_ADDED = ["runtime", "max_logit_difference", "round_medians_ms"]


@dataclass(frozen=True)
class Circumstances:
    """What a reader must know to measure the same.

    Attributes:
        command: How it was run.
        date: When.
        machine: On what.
        model: Which model, in words.
    """

    command: str
    date: str
    machine: str
    model: str


def latency_markdown(latency: Latency, peers: pd.DataFrame, circumstances: Circumstances) -> str:
    """Return both tables as Markdown, with all that is needed to read them."""
    return f"""\
# How long a picture takes

**{LABEL.capitalize()}.** Caches, memory and vector units stay a desktop's; a phone's own figures are those
of "Measure this device" on the page. Every time is the page's own clock, of the picture below, without flips and turns.

| | |
| --- | --- |
| Command | `{circumstances.command}` |
| Date | {circumstances.date} |
| Machine | {circumstances.machine} |
| Browser | {latency.browser}, headless |
| Model | {circumstances.model} |
| Picture | JPEG, 600 x 450, {latency.picture_bytes / 1000:.0f} kB |

All times are in milliseconds; `sd` is the standard deviation of the runs.

## The page

`warm`: from the JPEG file to the findings, in a page that has done it before. `cold`: from opening the page, in a
browser that has never seen it, to the first findings; the bundle comes from this computer. A page that is opened starts
on one thread, so a cold row with several loads both.

Slowed: all processes of the browser together get as much of the processors as that many busy threads of a slower
computer would take, and when cold as all its processors would give. `achieved` is measured by a loop in the page's
workers before and after; a row that is off by more than a fifth is refused. Where fewer threads are busy than the quota
is for, they are slowed less: while decoding in a warm row of several threads, for example.

{_markdown(_page_rows(latency.table), text=("measure", "speed", "slowed by"))}

## Beside other runtimes

The same weights, the same size of input, the app's own decoding, in the same browser, in turn, in {ROUNDS} rounds; the
medians of the rounds stand beside the figures of all runs together. The peers hold the weights as float32, compute the
logits alone and show nothing; the page checks every file, computes class activation maps and unfamiliarity, and draws
itself. `difference`: of the logits from Keras's, at most, on {REFERENCE_PICTURES} pictures.

{_markdown(_peer_rows(peers), text=("runtime", "measure", "medians of the rounds"))}
"""


def latency_csv(latency: Latency, peers: pd.DataFrame) -> pd.DataFrame:
    """Return both tables as one, not rounded."""
    ours = latency.table.assign(runtime=OURS)
    both = pd.concat([ours, peers.assign(slowdown=1.0)], keys=["page", "beside peers"], names=["part", None])
    return both.reset_index("part")[["part", "runtime", *CONDITIONS, *_ADDED[1:], *STATISTICS]]


def _page_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {
            "measure": row["measure"],
            "threads": str(row["threads"]),
            "speed": "full" if row["slowdown"] == 1 else f"1/{row['slowdown']:g}",
            "achieved": _number(row["achieved_slowdown"], 2),
            "slowed by": row["slowed_by"] if row["state"] == MEASURED else row["state"],
            **_times(row),
        }
        for _, row in table.iterrows()
    ]


def _peer_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {
            "runtime": row["runtime"],
            "threads": str(row["threads"]),
            "measure": row["measure"],
            "difference": f"{row['max_logit_difference']:.1g}",
            "medians of the rounds": row["round_medians_ms"] if row["state"] == MEASURED else row["state"],
            **_times(row),
        }
        for _, row in table.iterrows()
    ]


def _times(row: pd.Series) -> dict[str, str]:
    names = [name for name in STATISTICS if name != "n"]
    return {"n": str(row["n"]), **{name.removesuffix("_ms"): _number(row[name], 1) for name in names}}


def _number(value: float, decimals: int) -> str:
    return "" if np.isnan(value) else f"{value:,.{decimals}f}"


def _markdown(rows: list[dict[str, str]], text: Sequence[str]) -> str:
    table = pd.DataFrame(rows)
    align = ["left" if column in text else "right" for column in table.columns]
    # Numbers are text by now: tabulate would strip the zeros that line them up.
    return table.to_markdown(index=False, colalign=align, disable_numparse=True)


def _stored(store: Path, asset: str, io_manager_key: str) -> Path:
    path = fetched_path(store, asset, io_manager_key)
    if not path.exists():
        raise InputError(how_to_store(asset, path))
    return path


def measure(chosen: Settings, browser: Path, runs: int, cold_runs: int) -> tuple[str, Latency, pd.DataFrame]:
    """Return what network the bundle stored last is of, and time it, alone and beside its peers.

    Args:
        chosen: Says where the store is.
        browser: The browser's program.
        runs: Runs behind each row of the page's table; warm runs of each contender in a round.
        cold_runs: Cold runs of each contender in a round.

    Raises:
        UserError: something is not stored yet, the peers cannot be built, or the browser fails.
    """
    store = chosen.store
    bundle = _stored(store, "tfjs_bundle", "folder")
    trained = import_keras().models.load_model(_stored(store, "trained_model", "keras_model"), compile=False)
    familiarity = read_guard(_stored(store, "input_guard", "folder")).familiarity
    arrays = ImageArrays.open(_stored(store, "image_arrays", "folder"))
    pixels = np.asarray(arrays.pixels[spread_rows(np.arange(len(arrays.pixels)), REFERENCE_PICTURES)])
    reference = Reference(pixels, trained.predict(pixels.astype(np.float32), verbose=0))
    page = build_peers_page(chosen.root / "build" / "web", logits_model(deployed_model(trained, familiarity)))
    peers = compare_peers(browser, bundle, page, reference, runs, cold_runs)
    return BACKBONES[architecture_of(trained)].name, measure_latency(browser, bundle, runs), peers


@told_to_the_user
def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m derma_assets.browser.peers_report", description=__doc__)
    parser.add_argument("--runs", type=int, default=50, help="measured runs, default 50")
    parser.add_argument("--cold-runs", type=int, default=_COLD_RUNS, help="of each contender in a round, default 20")
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder to write to, default docs")
    asked = parser.parse_args(arguments)
    chosen = settings()
    browser = find_browser(chosen.browser)
    if browser is None:
        raise BrowserUnavailable(f"no browser found. {ADVICE}")
    network, latency, peers = measure(chosen, browser, asked.runs, asked.cold_runs)
    manifest = read_manifest(fetched_path(chosen.store, "tfjs_bundle", "folder"))
    runs = (
        "" if asked.runs == 50 and asked.cold_runs == _COLD_RUNS else f" RUNS={asked.runs} COLD_RUNS={asked.cold_runs}"
    )
    circumstances = Circumstances(
        command=f"DERMA_DATASET={shlex.quote(chosen.dataset)} make bench-browser{runs}",
        date=datetime.date.today().isoformat(),
        machine=machine(),
        model=f"{network}, {manifest['preprocessing']['size']} px, "
        f"{manifest['model']['variant']} weights; trained on: {manifest['dataset']['name']}",
    )
    asked.output.mkdir(parents=True, exist_ok=True)
    (asked.output / "latency.md").write_text(latency_markdown(latency, peers, circumstances))
    latency_csv(latency, peers).to_csv(asked.output / "latency.csv", index=False, float_format="%.3f")
    print(f"Written: {asked.output / 'latency.md'} and {asked.output / 'latency.csv'}")


if __name__ == "__main__":
    sys.exit(main())
