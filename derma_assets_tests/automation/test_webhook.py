"""A failed run is told to an address; a real server takes the document."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import dagster as dg
import pytest

from derma_assets.automation import sensors
from derma_assets.automation.run_tags import COMMIT, run_tags
from derma_assets.automation.webhook import failure_document, post
from derma_assets.settings import Settings


@pytest.fixture
def listening() -> Iterator[tuple[str, list[Any]]]:
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/broken" else 204)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()


def test_a_failed_run_is_told(listening: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    address, got = listening
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


def test_an_answer_that_is_no_success_is_an_error_without_the_address(listening: tuple[str, list[Any]]) -> None:
    address, _ = listening
    with pytest.raises(OSError, match="did not take it") as raised:
        post(f"{address}/broken", failure_document("0123456789", "job", "", {}))
    assert address not in str(raised.value)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://host/x", "hook"])
def test_only_web_addresses_are_posted_to(address: str) -> None:
    with pytest.raises(ValueError, match="http"):
        post(address, {})


def test_runs_say_their_commit() -> None:
    tags = run_tags()
    assert set(tags) <= {COMMIT}
    assert all(value for value in tags.values())
