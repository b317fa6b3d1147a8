"""What the daemon asks for, on the project's own graph: what has other content upstream, and nothing else."""

import dagster as dg
import pytest

from derma_assets.definitions import defs

VERSION = "dagster/data_version"
BY_HAND = {"raw_metadata", "latency_benchmark"}


class Daemon:
    """The project's graph on an instance where everything has been made once, evaluated tick by tick."""

    def __init__(self) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self.keys = defs.resolve_asset_graph().get_all_asset_keys()
        for key in self.keys:
            self.made(key.path[-1], "1")
        self.last = dg.evaluate_automation_conditions(defs, self.instance)

    def made(self, name: str, version: str) -> None:
        """Report that an asset was materialized to a data version."""
        self.instance.report_runless_asset_event(dg.AssetMaterialization(name, tags={VERSION: version}))

    def tick(self) -> set[str]:
        """Return the assets that the daemon asks for now."""
        self.last = dg.evaluate_automation_conditions(defs, self.instance, cursor=self.last.cursor)
        return {key.path[-1] for key in self.keys if self.last.get_num_requested(key)}


@pytest.fixture
def daemon() -> Daemon:
    daemon = Daemon()
    assert daemon.last.total_requested == 0
    assert daemon.tick() == set()
    return daemon


def test_the_same_content_made_again_asks_for_nothing(daemon: Daemon) -> None:
    for name in ("raw_metadata", "raw_images", "trained_model"):
        daemon.made(name, "1")
    assert daemon.tick() == set()


def test_new_metadata_ask_for_all_that_is_below_in_one_tick(daemon: Daemon) -> None:
    daemon.made("raw_metadata", "2")
    everything = {key.path[-1] for key in daemon.keys}
    assert daemon.tick() == everything - BY_HAND - {"web_app"}
    assert daemon.tick() == set()


def test_a_replaced_picture_asks_for_what_is_made_of_pictures(daemon: Daemon) -> None:
    daemon.made("raw_images", "2")
    asked = daemon.tick()
    assert {"image_arrays", "training_set", "trained_model", "released_bundle"} <= asked
    assert asked.isdisjoint({"raw_metadata", "raw_images", "grouped_splits", "web_app"})


def test_a_changed_threshold_asks_for_what_is_below_it(daemon: Daemon) -> None:
    daemon.made("operating_points", "2")
    asked = daemon.tick()
    assert {"overall_metrics", "released_bundle", "tfjs_bundle"} <= asked
    assert asked.isdisjoint({"trained_model", "predictions", "tfjs_model", "image_arrays", "operating_points"})


def test_what_lacks_something_upstream_waits_for_it() -> None:
    instance = dg.DagsterInstance.ephemeral()
    last = dg.evaluate_automation_conditions(defs, instance)

    def asked_after(name: str) -> int:
        nonlocal last
        instance.report_runless_asset_event(dg.AssetMaterialization(name, tags={VERSION: "1"}))
        last = dg.evaluate_automation_conditions(defs, instance, cursor=last.cursor)
        return last.get_num_requested(dg.AssetKey("training_set"))

    assert asked_after("grouped_splits") == 0
    assert asked_after("raw_images") == 1
