"""The asset `latency_benchmark` of the stage `browser`."""

from pathlib import Path

import dagster as dg

from derma_assets.browser.chromium import ADVICE, BrowserUnavailable, find_browser
from derma_assets.browser.latency import LABEL, MEASURED, SLOWDOWNS, empty_table, measure_latency
from derma_assets.browser.latency_figure import latency_figure
from derma_assets.settings import settings
from derma_assets.stage import stage_asset
from derma_assets.storage.fingerprint import fingerprint_folder, fingerprint_json
from derma_assets.ui_metadata import figure, note, table_preview


@stage_asset(
    "browser",
    kinds={"javascript", "pandas"},
    io_manager_key="table",
    code_version="1",
    reads_settings=["latency_runs"],
    automatic=False,  # minutes, and no figure while other work runs beside it
)
def latency_benchmark(tfjs_bundle: Path) -> dg.MaterializeResult:
    """How long the page takes for a picture in real Chromium: a slowed desktop, not a phone.

    `warm` is from a JPEG file to the findings, `cold` from opening the page to the first findings; on one thread and
    on all, at full speed and slowed four and six times (the embedded sample: at full speed only). A row whose slowdown
    a calibration loop did not confirm says so in `state` and has no figures. The computer should have nothing else to
    do: at full speed `achieved_slowdown` is then near 1. Without a browser the table is empty.
    """
    chosen = settings()
    slowdowns = SLOWDOWNS[:1] if chosen.is_synthetic else SLOWDOWNS
    # No two measurements are alike: what was measured, and in what, is what makes a table another one.
    measured_what = [fingerprint_folder(tfjs_bundle), chosen.latency_runs, list(slowdowns)]
    try:
        browser = find_browser(chosen.browser)
        if browser is None:
            raise BrowserUnavailable(f"no browser found. {ADVICE}")
        latency = measure_latency(browser, tfjs_bundle, chosen.latency_runs, slowdowns)
    except BrowserUnavailable as error:
        return dg.MaterializeResult(
            value=empty_table(),
            metadata={"runs": 0, "latency": f"not run: {error}", "note": note()},
            data_version=dg.DataVersion(fingerprint_json([*measured_what, None])),
        )
    table = latency.table
    measured = table[table["state"] == MEASURED]
    names = (
        measured["measure"]
        + "_"
        + measured["threads"].astype(str)
        + "_threads_"
        + measured["slowdown"].map("{:g}x".format)
    )
    return dg.MaterializeResult(
        value=table,
        metadata={
            "label": LABEL,
            "browser": latency.browser,
            "runs": chosen.latency_runs,
            "picture_bytes": latency.picture_bytes,
            "seconds": latency.seconds,
            **{f"{name}_median_ms": float(value) for name, value in zip(names, measured["median_ms"], strict=True)},
            "latency": table_preview(table, rows=len(table), decimals=1),
            "chart": figure(latency_figure(table)),
            "note": note(),
        },
        data_version=dg.DataVersion(fingerprint_json([*measured_what, latency.browser])),
    )
