"""How much slower a page's workers really are: a loop timed at full speed and slowed, in workers, as the model is."""

import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

# A row whose slowdown is off by more than this is worth nothing.
TOLERANCE = 0.2
# At full speed many short loops, of which the fastest counts: whatever else the computer does only slows.
_SHORT_MS = 15.0
_TRIES = 25
# Slowed, few long ones, each over many of the quota's periods, of which the middle one counts.
_LONGER = 8
_LONG_TRIES = 3

_WORKERS = """async ([threads]) => {
  const source = `onmessage = ({ data }) => {
    const started = performance.now();
    let state = 1;
    for (let step = 0; step < data; step++) state = (Math.imul(state, 1664525) + 1013904223) | 0;
    postMessage([performance.now() - started, state]);
  };`;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const workers = Array.from({ length: threads }, () => new Worker(url));
  const loop = (worker, steps) => new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data[0]);
    worker.onerror = ({ message }) => reject(new Error(`the calibration's worker failed: ${message}`));
    worker.postMessage(steps);
  });
  window.calibrationLoops ??= {};
  window.calibrationLoops[threads] = async (steps) => {
    const each = await Promise.all(workers.map((worker) => loop(worker, steps)));
    return each.reduce((sum, milliseconds) => sum + milliseconds, 0) / each.length;
  };
}"""
_RUN = "async ([threads, steps]) => await window.calibrationLoops[threads](steps)"


@dataclass(frozen=True)
class Calibration:
    """A loop in so many workers of a page at once as the model has threads, and how long it takes at full speed.

    Attributes:
        page: Its page.
        threads: How many loops run at once.
        steps: Steps of the loop.
        full_speed_ms: How long they take, the mean of the workers.
    """

    page: "Page"
    threads: int
    steps: int
    full_speed_ms: float

    def renewed(self) -> "Calibration":
        """Return the calibration after more tries at full speed: the computer may have been busy before."""
        return replace(self, full_speed_ms=min(self.full_speed_ms, _fastest(self.page, self.threads, self.steps)))

    def slowdown(self) -> float:
        """Return how many times slower the workers are now."""
        tries = [float(self.page.evaluate(_RUN, [self.threads, _LONGER * self.steps])) for _ in range(_LONG_TRIES)]
        return statistics.median(tries) / (_LONGER * self.full_speed_ms)


def calibrate(page: "Page", threads: int) -> Calibration:
    """Time a loop in `threads` workers of an open page, at full speed.

    Args:
        page: Its policy lets workers start from blobs.
        threads: How many loops at once.
    """
    page.evaluate(_WORKERS, [threads])
    steps = 1_000_000
    # Also what lets the browser compile the loop before it counts.
    while float(page.evaluate(_RUN, [threads, steps])) < _SHORT_MS:
        steps *= 2
    return Calibration(page, threads, steps, _fastest(page, threads, steps))


def _fastest(page: "Page", threads: int, steps: int) -> float:
    return min(float(page.evaluate(_RUN, [threads, steps])) for _ in range(_TRIES))


def is_real(achieved: float, wanted: float) -> bool:
    """Return whether a slowdown that was measured is the one that was wanted, within `TOLERANCE`."""
    return abs(achieved / wanted - 1) <= TOLERANCE
