"""What the latency table says of its runs, and that a real page gives them. No test depends on how fast anything is."""

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derma_assets.browser import chromium, latency, latency_asset
from derma_assets.browser.latency import COLD, CONDITIONS, MEASURED, STATISTICS, WARM, Latency, measure_latency
from derma_assets.browser.latency_calibration import Calibration, calibrate, is_real
from derma_assets.browser.latency_figure import latency_figure
from derma_assets.browser.latency_runs import (
    PICTURE_SIZE,
    browser_process,
    cold_run,
    keep_picture,
    photograph,
    warm_run,
)
from derma_assets.browser.serve import serving
from derma_assets.browser.throttling import ThrottlingUnavailable
from derma_assets.storage.io_managers import io_managers


class SteadyPage:
    """Stands in for a page whose calibration loop takes these many milliseconds a step, the last for ever."""

    def __init__(self, *milliseconds: float) -> None:
        self._milliseconds = list(milliseconds)

    def evaluate(self, script: str, argument: Any) -> float:
        _, steps = argument
        return steps * (self._milliseconds.pop(0) if len(self._milliseconds) > 1 else self._milliseconds[0])


def _timed(unmeasured: int = 2) -> tuple[latency._Timed, list[float]]:
    """Return runs of 1, 2, 3 ... ms, and the list of those done."""
    runs: list[float] = []

    def run() -> float:
        runs.append(len(runs) + 1.0)
        return runs[-1]

    return latency._Timed(WARM, 1, unmeasured, run), runs


def _row(**changes: Any) -> dict[str, Any]:
    row = {
        "measure": WARM,
        "backend": "wasm",
        "threads": 1,
        "slowdown": 1.0,
        "achieved_slowdown": 1.0,
        "slowed_by": "not slowed",
        "state": MEASURED,
        **latency.statistics([20.0, 30.0, 40.0]),
    }
    return row | changes


def test_statistics_of_runs() -> None:
    found = latency.statistics([1, 2, 3, 4, 10])
    assert found == pytest.approx(
        {
            "n": 5,
            "mean_ms": 4.0,
            "median_ms": 3.0,
            "p95_ms": 8.8,
            "min_ms": 1.0,
            "max_ms": 10.0,
            "sd_ms": math.sqrt((9 + 4 + 1 + 0 + 36) / 4),
        }
    )
    assert math.isnan(latency.statistics([1.0])["sd_ms"])


@pytest.mark.parametrize(("achieved", "real"), [(4, True), (4.79, True), (3.21, True), (4.81, False), (1, False)])
def test_a_slowdown_must_be_the_one_that_was_wanted(achieved: float, real: bool) -> None:
    assert is_real(achieved, 4) is real


def test_the_fastest_loop_at_full_speed_and_the_middle_slowed_one_count() -> None:
    page: Any = SteadyPage(3, 1.5, 2)
    calibration = Calibration(page, threads=1, steps=10, full_speed_ms=20.0).renewed()
    assert calibration.full_speed_ms == 15.0
    assert replace(calibration, page=SteadyPage(6, 90, 9)).slowdown() == pytest.approx(6.0)


def test_the_first_runs_do_not_count() -> None:
    timed, runs = _timed()
    done: list[int] = []
    found = timed.measured(3, 4, lambda: 4.0, done.append)
    assert len(runs) == sum(done) == 5
    assert found["state"] == MEASURED
    assert found["achieved_slowdown"] == 4.0
    assert (found["n"], found["min_ms"], found["max_ms"]) == (3, 3.0, 5.0)


def test_runs_that_were_not_slowed_are_refused() -> None:
    timed, _ = _timed()
    slowdowns = iter([4.0, 1.0])
    found = timed.measured(3, 4, lambda: next(slowdowns), lambda _: None)
    assert found["state"] == "refused: slowed 2.5 times instead"
    assert found["n"] == 0
    assert not found.keys() & set(STATISTICS) - {"n"}
    # At full speed the loop only tells how busy the computer was.
    assert timed.measured(3, 1, lambda: 2.0, lambda _: None)["state"] == MEASURED


def test_the_photograph_is_as_large_as_one() -> None:
    jpeg = photograph()
    assert jpeg == photograph()
    assert jpeg != photograph(1)
    picture = Image.open(io.BytesIO(jpeg))
    assert (picture.format, picture.size) == ("JPEG", PICTURE_SIZE)
    assert 100_000 < len(jpeg) < 400_000


def test_the_chart_has_a_bar_for_every_measured_row() -> None:
    table = pd.DataFrame(
        [
            _row(),
            _row(slowdown=6.0),
            _row(slowdown=4.0, state="refused: slowed 1.2 times instead", median_ms=np.nan),
            _row(measure=COLD, threads=2, backend="wasm-threads"),
        ]
    )
    warm, cold = latency_figure(table).axes
    assert [text.get_text() for text in warm.get_yticklabels()] == ["1 thread, full speed", "1 thread, slowed 6x"]
    assert [text.get_text() for text in cold.get_yticklabels()] == ["2 threads, full speed"]
    # Nothing measured, nothing drawn, no error.
    latency_figure(latency.empty_table())


def _materialized(tmp_path: Path) -> dg.ExecuteInProcessResult:
    @dg.asset(io_manager_key="folder")
    def tfjs_bundle() -> Path:
        folder = tmp_path / "bundle"
        folder.mkdir(exist_ok=True)
        return folder

    assets = [tfjs_bundle, latency_asset.latency_benchmark]
    return dg.materialize(assets, resources=dict(io_managers(tmp_path / "store")))


def _version(result: dg.ExecuteInProcessResult) -> str:
    (materialization,) = result.asset_materializations_for_node("latency_benchmark")
    assert materialization.tags is not None
    return materialization.tags["dagster/data_version"]


def test_without_a_browser_the_asset_is_empty_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency_asset, "find_browser", lambda preferred: None)
    result = _materialized(tmp_path)
    assert result.success
    table = result.output_for_node("latency_benchmark")
    assert list(table.columns) == [*CONDITIONS, *STATISTICS]
    assert table.empty
    (materialization,) = result.asset_materializations_for_node("latency_benchmark")
    assert str(materialization.metadata["latency"].value).startswith("not run: no browser found")


def test_the_asset_has_the_figures_and_a_version_that_noise_leaves_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def measured(browser: Path, bundle: Path, runs: int, slowdowns: Any) -> Latency:
        asked.append(runs)
        return Latency("Chromium 1", 1000, pd.DataFrame([_row(median_ms=20.0 + len(asked))]), 1.0)

    monkeypatch.setattr(latency_asset, "find_browser", lambda preferred: Path("chromium"))
    monkeypatch.setattr(latency_asset, "measure_latency", measured)
    first, second = _materialized(tmp_path), _materialized(tmp_path)
    (materialization,) = second.asset_materializations_for_node("latency_benchmark")
    assert materialization.metadata["warm_1_threads_1x_median_ms"].value == 22.0
    assert materialization.metadata["label"].value == "a slowed desktop, not a phone"
    assert _version(first) == _version(second)


@pytest.mark.browser
def test_a_real_page_is_timed(browser_program: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # How well the computer keeps a quota while other tests run is not what this is about.
    monkeypatch.setattr(latency, "is_real", lambda achieved, wanted: True)
    found = measure_latency(browser_program, bundle_folder, runs=2, slowdowns=(1, 4))
    table = found.table
    assert found.browser.startswith("Chromium ")
    assert list(table.columns) == [*CONDITIONS, *STATISTICS]
    assert set(zip(table["measure"], table["backend"], table["slowdown"], strict=True)) >= {
        (measure, "wasm", slowdown) for measure in (WARM, COLD) for slowdown in (1, 4)
    }
    assert (table["state"] == MEASURED).all()
    assert (table["n"] == 2).all()
    assert (table.loc[table["backend"] == "wasm", "threads"] == 1).all()
    assert (table.loc[table["backend"] == "wasm-threads", "threads"] > 1).all()
    assert (table["min_ms"] <= table["median_ms"]).all()
    assert (table["median_ms"] <= table["max_ms"]).all()
    warm = table[table["measure"] == WARM].set_index(["backend", "slowdown"])["median_ms"]
    cold = table[table["measure"] == COLD].set_index(["backend", "slowdown"])["median_ms"]
    assert (warm < cold).all()


@pytest.mark.browser
def test_what_cannot_be_slowed_has_no_figures(
    browser_program: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(pid: int, factor: float, threads: int) -> Any:
        raise ThrottlingUnavailable("no process can be slowed on this computer.")

    monkeypatch.setattr(latency, "slowed", nowhere)
    table = measure_latency(browser_program, bundle_folder, runs=2, slowdowns=(4,)).table
    assert (table["state"] == "not measured: no process can be slowed on this computer.").all()
    assert (table["n"] == 0).all()
    assert table[[*STATISTICS[1:], "achieved_slowdown"]].isna().all(axis=None)


@pytest.mark.browser
def test_runs_analyse_the_picture(browser: Any, bundle_folder: Path) -> None:
    with serving(bundle_folder) as address:
        page = chromium.open_bundle(browser, address)
        keep_picture(page, photograph())
        milliseconds, logits = warm_run(page, {"backend": "wasm", "views": 1})
        assert milliseconds > 0
        assert logits.shape == (7,)
        assert np.isfinite(logits).all()
        assert cold_run(browser, address, photograph(), {"views": 1}) > milliseconds
        assert browser_process(browser) > 1
        calibration = calibrate(page, 2)
        assert calibration.full_speed_ms > 0
        assert calibration.slowdown() > 0
        page.close()
