"""The graph as Dagster's own tools see it: the UI in a real browser, `dg`, and the workspace file."""

import subprocess
import time
import urllib.request
from collections.abc import Iterator

import pytest

from derma_assets.browser.chromium import ADVICE, find_browser, launched
from derma_assets.settings import settings
from derma_assets_tests.end_to_end.conftest import SampleRun
from derma_assets_tests.running import BIN, ROOT, command, environment, free_port, said


@pytest.fixture
def ui(sample_run: SampleRun) -> Iterator[str]:
    port = free_port()
    server = subprocess.Popen(
        [str(BIN / "dagster-webserver"), "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)],
        cwd=ROOT,
        env=sample_run.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/server_info", timeout=5).close()
                break
            except OSError:
                time.sleep(1)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def test_the_ui_shows_the_lineage_and_the_figures_of_the_last_run(ui: str) -> None:
    browser_path = find_browser(settings().browser)
    assert browser_path is not None, ADVICE
    with launched(browser_path) as browser:
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.goto(f"{ui}/assets/per_class_metrics", wait_until="domcontentloaded")
        page.get_by_text("per_class_metrics").first.wait_for(timeout=60_000)
        page.get_by_text("precision").first.wait_for(timeout=60_000)
        page.goto(f"{ui}/asset-groups", wait_until="domcontentloaded")
        for group in ("dataset", "splits", "training", "calibration", "evaluation", "browser"):
            page.get_by_text(group, exact=True).first.wait_for(timeout=60_000)


def test_dg_checks_the_definitions(sample_run: SampleRun) -> None:
    run = command("dg", "check", "defs", env=sample_run.env)
    assert run.returncode == 0, said(run)


def test_dg_launches_an_asset(tmp_path_factory: pytest.TempPathFactory) -> None:
    env = environment(tmp_path_factory.mktemp("launched"))
    run = command("dg", "launch", "--assets", "raw_metadata", env=env)
    assert run.returncode == 0, said(run)
