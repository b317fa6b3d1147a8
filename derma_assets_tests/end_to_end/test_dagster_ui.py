"""The graph as Dagster's own tools see it: the UI in a real browser, `dg`, and the workspace file."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from derma_assets.browser.chromium import ADVICE, find_browser, launched
from derma_assets.settings import settings
from derma_assets_tests.end_to_end.conftest import SampleRun
from derma_assets_tests.running import command, environment, free_port, said, served


@contextmanager
def webserver(env: Mapping[str, str]) -> Iterator[str]:
    """Run the Dagster UI on an instance and yield its address."""
    port = str(free_port())
    words = ("dagster-webserver", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", port)
    address = f"http://127.0.0.1:{port}"
    with served(*words, env=env, address=f"{address}/server_info"):
        yield address


@pytest.fixture
def ui(sample_run: SampleRun) -> Iterator[str]:
    with webserver(sample_run.env) as address:
        yield address


def stale_assets(address: str) -> set[str]:
    """Return the assets that the UI at `address` shows as stale: their code or what they are made from has changed.

    The studies, which a run of the whole graph leaves alone, are not looked at.
    """
    query = {"query": "{ assetNodes { assetKey { path } staleStatus repository { location { name } } } }"}
    request = urllib.request.Request(
        f"{address}/graphql", json.dumps(query).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        nodes = [
            node
            for node in json.load(answer)["data"]["assetNodes"]
            if node["repository"]["location"]["name"] == "derma_assets.definitions"
        ]
    assert {node["staleStatus"] for node in nodes} <= {"FRESH", "STALE"}, nodes
    return {node["assetKey"]["path"][-1] for node in nodes if node["staleStatus"] == "STALE"}


def test_nothing_is_stale_after_a_run(ui: str) -> None:
    assert stale_assets(ui) == set()


def test_a_changed_setting_makes_what_depends_on_it_stale(sample_run: SampleRun) -> None:
    thresholds = {"operating_points", "view_calibration"}
    below = {
        "overall_metrics",
        "subgroup_metrics",
        "subgroup_gaps",
        "view_metrics",
        "risk_coverage",
        "decision_curve",
        "tfjs_bundle",
        "latency_benchmark",
        "model_card",
    }
    with webserver(sample_run.env | {"DERMA_REFERRAL_SENSITIVITY": "0.9"}) as address:
        stale = stale_assets(address)
    assert thresholds <= stale
    assert stale <= thresholds | below
    with webserver(sample_run.env | {"DERMA_IMAGE_SIZE": "64"}) as address:
        stale = stale_assets(address)
    assert "image_shard_00" in stale
    assert stale.isdisjoint({"raw_metadata", "raw_images", "grouped_splits", "leakage_audit", "web_app"})


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
