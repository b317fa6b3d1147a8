"""A failed run is told to an address; a real server takes the document."""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from derma_assets.automation import sensors
from derma_assets.automation.webhook import failure_document, post
from derma_assets.settings import Settings
from derma_assets_tests.listening import listening


@pytest.fixture
def hook() -> Iterator[tuple[str, list[Any]]]:
    with listening() as server:
        yield server


def test_a_failed_run_is_told(hook: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    address, got = hook
    chosen = Settings(webhook=f"{address}/hook?key=secret")
    monkeypatch.setattr(sensors, "settings", lambda: chosen)

    @dg.op
    def breaks() -> None:
        raise dg.Failure("the disk is full", allow_retries=False)

    @dg.job(tags={"derma/commit": "abc"})
    def training() -> None:
        breaks()

    with dg.DagsterInstance.ephemeral() as instance:
        result = training.execute_in_process(instance=instance, raise_on_error=False)
        (failure,) = (event for event in result.all_events if event.event_type_value == "PIPELINE_FAILURE")
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_run", dagster_instance=instance, dagster_run=result.dagster_run, dagster_event=failure
        ).for_run_failure()
        sensors.failed_run(context)
    (document,) = got
    assert "training has failed" in document["text"]
    assert "the disk is full" in document["error"]
    assert document["tags"]["derma/commit"] == "abc"
    assert "secret" not in json.dumps(document)


def test_an_answer_that_is_no_success_is_an_error_without_the_address(hook: tuple[str, list[Any]]) -> None:
    address, _ = hook
    with pytest.raises(OSError, match="did not take it") as raised:
        post(f"{address}/broken", failure_document("0123456789", "job", "", {}))
    assert address not in str(raised.value)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://host/x", "hook"])
def test_only_web_addresses_are_posted_to(address: str) -> None:
    with pytest.raises(ValueError, match="http"):
        post(address, {})
