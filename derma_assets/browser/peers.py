"""The page beside the same model in other runtimes: onnxruntime-web and LiteRT.js, each with WebAssembly.

The others stand in the place of TF.js in the app's way with a picture (`web/bench/`), so decoding and cutting out are
the same code. They compute the logits alone and show nothing, which is in their favour. All are timed in turn, in the
same browser, in several rounds, so that whatever else the computer does slows all alike.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
from PIL import Image

from derma_assets.browser.chromium import launched, open_bundle
from derma_assets.browser.latency import (
    COLD,
    MEASURED,
    START_BACKEND,
    THREADED_BACKEND,
    UNMEASURED_RUNS,
    WARM,
    page_threads,
    statistics,
)
from derma_assets.browser.latency_runs import cold_run, keep_picture, photograph, warm_run
from derma_assets.browser.serve import serving
from derma_assets.browser.web_build import SOURCES
from derma_assets.progress import bar

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OURS = "TF.js, the app's page"
ROUNDS = 3
# Rounding differs between runtimes; a peer that is further off computes something else.
LOGITS_TOLERANCE = 1e-3
_PEERS = {"onnx": ("onnxruntime-web", "onnxruntime-web"), "litert": ("LiteRT.js", "@litertjs/core")}


@dataclass(frozen=True, eq=False)
class Contender:
    """Something to be timed.

    Attributes:
        runtime: What a reader is told.
        threads: How many it runs on.
        address: Its page.
        warm_options: Of the page's `analyse` in a page that is open.
        cold_options: The same in one that is being opened.
    """

    runtime: str
    threads: int
    address: str
    warm_options: Mapping[str, Any]
    cold_options: Mapping[str, Any]

    @property
    def is_ours(self) -> bool:
        """Whether this is the app."""
        return self.runtime == OURS


@dataclass(frozen=True)
class Reference:
    """What every contender must compute.

    Attributes:
        pixels: (n, S, S, 3) uint8 pictures.
        logits: (n, 7) float32, Keras's.
    """

    pixels: np.ndarray
    logits: np.ndarray


def contenders(bundle: str, peers_page: str, size: int, threads: Sequence[int]) -> list[Contender]:
    """Return the app and its peers, on each number of threads.

    Args:
        bundle: Address of the bundle's page.
        peers_page: Address of the page from `peers_page.build_peers_page`.
        size: Side of the model's input.
        threads: One, and how many the app takes by itself if it takes more.
    """
    found = []
    for count in threads:
        warm = {"backend": START_BACKEND if count == 1 else THREADED_BACKEND, "views": 1}
        # On one thread the page starts by itself.
        found.append(Contender(OURS, count, bundle, warm, {"views": 1} if count == 1 else warm))
        for runtime, (name, package) in _PEERS.items():
            query = urlencode({"runtime": runtime, "threads": count, "size": size})
            found.append(Contender(f"{name} {_version(package)}", count, f"{peers_page}?{query}", {}, {}))
    return found


def compare_peers(
    executable: Path, bundle: Path, peers_page: Path, reference: Reference, runs: int, cold_runs: int
) -> pd.DataFrame:
    """Time the app and its peers in turn in a real browser, in `ROUNDS` rounds.

    Args:
        executable: The browser.
        bundle: The bundle.
        peers_page: From `peers_page.build_peers_page`.
        reference: What they must compute.
        runs: Warm runs of each in a round.
        cold_runs: Cold runs of each in a round.

    Returns:
        One row for each contender and measure: `runtime`, `threads`, `measure`, `state`, `max_logit_difference` from
        Keras, `round_medians_ms` (text) and the statistics of all rounds together. A peer that computes something else
        has no statistics.

    Raises:
        UserError: the browser does not start, or a page does not work in it.
    """
    jpeg = photograph()
    size = reference.pixels.shape[1]
    with launched(executable) as browser, serving(bundle) as ours, serving(peers_page) as theirs:
        counts = sorted(set(page_threads(browser, ours).values()))
        entered = contenders(ours, theirs, size, counts)
        differences = {one: _difference(browser, one, reference) for one in entered}
        fit = [one for one in entered if one.is_ours or differences[one] <= LOGITS_TOLERANCE]
        found: dict[tuple[Contender, str], list[list[float]]] = {}
        with bar(ROUNDS * len(fit) * (UNMEASURED_RUNS + runs + cold_runs), "timing in turn", "runs") as shown:
            for number in range(ROUNDS):
                # Each round starts with another one.
                for one in (*fit[number:], *fit[:number]):
                    for measure, milliseconds in _round(browser, one, jpeg, runs, cold_runs, shown.update).items():
                        found.setdefault((one, measure), []).append(milliseconds)
    return pd.DataFrame(
        [
            _row(one, measure, differences[one], found.get((one, measure), []))
            for measure in (WARM, COLD)
            for one in entered
        ]
    )


def _difference(browser: "Browser", contender: Contender, reference: Reference) -> float:
    """Return by how much the logits differ from Keras at most; without loss, so that decoders cannot differ."""
    page = open_bundle(browser, contender.address)
    found = []
    for pixels in reference.pixels:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        keep_picture(page, buffer.getvalue(), "image/png")
        found.append(warm_run(page, contender.warm_options)[1])
    page.close()
    difference = np.abs(np.stack(found) - reference.logits).max()
    return float(difference) if np.isfinite(difference) else float("inf")


def _round(
    browser: "Browser", contender: Contender, jpeg: bytes, runs: int, cold_runs: int, done: Callable[[int], Any]
) -> dict[str, list[float]]:
    """Return the milliseconds of one contender's runs in one round, by measure."""
    page = open_bundle(browser, contender.address)
    keep_picture(page, jpeg)
    warm = []
    for _ in range(UNMEASURED_RUNS + runs):
        warm.append(warm_run(page, contender.warm_options)[0])
        done(1)
    page.close()
    cold = []
    for _ in range(cold_runs):
        cold.append(cold_run(browser, contender.address, jpeg, contender.cold_options))
        done(1)
    return {WARM: warm[UNMEASURED_RUNS:], COLD: cold}


def _row(contender: Contender, measure: str, difference: float, rounds: list[list[float]]) -> dict[str, Any]:
    row = {
        "runtime": contender.runtime,
        "threads": contender.threads,
        "measure": measure,
        "state": MEASURED if rounds else f"no peer: its logits differ from Keras's by {difference:.2g}",
        "max_logit_difference": difference,
    }
    if not rounds:
        return {**row, "round_medians_ms": "", "n": 0}
    medians = ", ".join(f"{np.median(milliseconds):.1f}" for milliseconds in rounds)
    return {**row, "round_medians_ms": medians, **statistics([one for milliseconds in rounds for one in milliseconds])}


def _version(package: str) -> str:
    return str(json.loads((SOURCES / "bench" / "package.json").read_text())["dependencies"][package])
