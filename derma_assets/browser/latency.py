"""How long the page takes for a picture, in a real browser at full speed and slowed: a slowed desktop, not a phone.

`warm`: from a JPEG file to the findings in a page that has done it before. `cold`: from opening the page in a browser
that has never seen it to the first findings, downloads from this computer included. `wasm` is one thread,
`wasm-threads` all that the page takes; a page that is opened starts on one, so a cold run with threads loads both.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from derma_assets.browser.chromium import launched, open_bundle
from derma_assets.browser.latency_calibration import calibrate, is_real
from derma_assets.browser.latency_runs import browser_process, cold_run, keep_picture, photograph, warm_run
from derma_assets.browser.serve import serving
from derma_assets.browser.throttling import ThrottlingUnavailable, slowed
from derma_assets.progress import bar

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LABEL = "a slowed desktop, not a phone"
WARM, COLD = "warm", "cold"
START_BACKEND, THREADED_BACKEND = "wasm", "wasm-threads"
SLOWDOWNS = (1, 4, 6)
UNMEASURED_RUNS = 5
MEASURED = "measured"

# What was measured under which conditions, and how it went.
CONDITIONS = ["measure", "backend", "threads", "slowdown", "achieved_slowdown", "slowed_by", "state"]
STATISTICS = ["n", "mean_ms", "median_ms", "p95_ms", "min_ms", "max_ms", "sd_ms"]

_COLUMNS = [*CONDITIONS, *STATISTICS]
_THREADS = "async () => (await window.derma.engine.classifier).choice.threads"
_PROCESSORS = "() => navigator.hardwareConcurrency"
_BACKENDS = "async () => window.derma.backends()"


@dataclass(frozen=True)
class Latency:
    """What `measure_latency` found.

    Attributes:
        browser: Its name and version.
        picture_bytes: Size of the JPEG file that was analysed.
        table: One row for each measure, back end and slowdown: `CONDITIONS` and `STATISTICS`. `state` is "measured", or
            why not, and then there are no statistics. `achieved_slowdown` is the calibration loop's, mean of before and
            after the runs; at full speed it tells how busy the computer was.
        seconds: How long it took.
    """

    browser: str
    picture_bytes: int
    table: pd.DataFrame
    seconds: float


def statistics(milliseconds: Sequence[float]) -> dict[str, float]:
    """Return number, mean, median, 95th percentile, extremes and sample standard deviation of some runs.

    Args:
        milliseconds: At least one; the standard deviation of a single one is NaN.
    """
    values = np.asarray(milliseconds, np.float64)
    return {
        "n": len(values),
        "mean_ms": float(values.mean()),
        "median_ms": float(np.median(values)),
        "p95_ms": float(np.percentile(values, 95)),
        "min_ms": float(values.min()),
        "max_ms": float(values.max()),
        "sd_ms": float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
    }


def empty_table() -> pd.DataFrame:
    """Return the table of `Latency` without rows: what there is to say without a browser."""
    text, whole = ("measure", "backend", "slowed_by", "state"), ("threads", "n")
    kinds = {column: "object" if column in text else "int64" if column in whole else "float64" for column in _COLUMNS}
    return pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in kinds.items()})


def measure_latency(executable: Path, bundle: Path, runs: int, slowdowns: Sequence[float] = SLOWDOWNS) -> Latency:
    """Time a bundle's page in a real browser.

    Args:
        executable: The browser.
        bundle: The bundle.
        runs: Measured runs behind each row.
        slowdowns: How many times slower, 1 for full speed.

    Raises:
        UserError: the browser does not start, or the page refuses the bundle.
    """
    started = time.monotonic()
    jpeg = photograph()
    rows: list[dict[str, Any]] = []
    with launched(executable) as browser, serving(bundle) as address:
        offered = page_threads(browser, address)
        total = len(offered) * len(slowdowns) * (UNMEASURED_RUNS + 2 * runs)
        with bar(total, "timing the page", "runs") as shown:
            for backend, threads in offered.items():
                rows += _rows_of_backend(browser, address, jpeg, backend, threads, runs, slowdowns, shown.update)
        name = f"Chromium {browser.version}"
    table = pd.DataFrame(rows, columns=_COLUMNS).astype({"n": int, "slowdown": float})
    return Latency(name, len(jpeg), table, time.monotonic() - started)


def page_threads(browser: "Browser", address: str) -> dict[str, int]:
    """Return the back ends of a served bundle that run on the processor, and how many threads each takes."""
    page = open_bundle(browser, address)
    keep_picture(page, photograph())
    offered = page.evaluate(_BACKENDS)
    found = {}
    for backend in (START_BACKEND, THREADED_BACKEND):
        if backend in offered:
            warm_run(page, {"backend": backend, "views": 1})
            found[backend] = int(page.evaluate(_THREADS))
    page.close()
    return found


def _rows_of_backend(
    browser: "Browser",
    address: str,
    jpeg: bytes,
    backend: str,
    threads: int,
    runs: int,
    slowdowns: Sequence[float],
    done: Callable[[int], Any],
) -> list[dict[str, Any]]:
    process = browser_process(browser)
    page = open_bundle(browser, address)
    keep_picture(page, jpeg)
    options = {"backend": backend, "views": 1}
    # From here on the page stays with this back end, and tries no other.
    warm_run(page, options)
    # A page starts on one thread by itself; to name it would have it wait for the model before it decodes.
    cold_options = {"views": 1} if backend == START_BACKEND else options
    timed = [
        _Timed(WARM, threads, UNMEASURED_RUNS, lambda: warm_run(page, options)[0]),
        # Whatever the model takes, a page that opens keeps every processor busy.
        _Timed(COLD, int(page.evaluate(_PROCESSORS)), 0, lambda: cold_run(browser, address, jpeg, cold_options)),
    ]
    calibrations = {one.busy: calibrate(page, one.busy) for one in timed}
    rows = []
    for slowdown in slowdowns:
        for one in timed:
            row = {"measure": one.measure, "backend": backend, "threads": threads, "slowdown": slowdown}
            calibrations[one.busy] = calibrations[one.busy].renewed()
            try:
                with slowed(process, slowdown, one.busy) as how:
                    found = one.measured(runs, slowdown, calibrations[one.busy].slowdown, done)
                rows.append({**row, "slowed_by": how, **found})
            except ThrottlingUnavailable as error:
                rows.append({**row, "state": f"not measured: {error}", "n": 0})
    page.close()
    return rows


@dataclass(frozen=True)
class _Timed:
    """What is timed.

    Attributes:
        measure: `warm` or `cold`.
        busy: How many threads are busy meanwhile.
        unmeasured: How many runs go before those that count.
        run: Does it once and returns its milliseconds.
    """

    measure: str
    busy: int
    unmeasured: int
    run: Callable[[], float]

    def measured(
        self, runs: int, slowdown: float, slowdown_now: Callable[[], float], done: Callable[[int], Any]
    ) -> dict[str, Any]:
        """Return the statistics of some runs, or why they are worth nothing.

        Args:
            runs: How many count.
            slowdown: How many times slower they should be.
            slowdown_now: Measures how many times slower they are.
            done: Told of every run.
        """
        before = slowdown_now()
        milliseconds = []
        for number in range(-self.unmeasured, runs):
            one = self.run()
            if number >= 0:
                milliseconds.append(one)
            done(1)
        achieved = (before + slowdown_now()) / 2
        if slowdown > 1 and not is_real(achieved, slowdown):
            return {"achieved_slowdown": achieved, "state": f"refused: slowed {achieved:.1f} times instead", "n": 0}
        return {"achieved_slowdown": achieved, "state": MEASURED, **statistics(milliseconds)}
