"""Dagster as a person at the webserver sees it: runs and backfills are asked for, and looked at."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg
from dagster_graphql import DagsterGraphQLClient

from derma_assets_tests.cluster.hosts import Cluster

_BACKFILL = """
mutation($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
_JOB = "__ASSET_JOB"
FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def launch_run(client: DagsterGraphQLClient, location: str, assets: Sequence[str]) -> str:
    """Ask for one run of some assets, and return its id."""
    return client.submit_job_execution(_JOB, location, "__repository__", asset_selection=list(assets))


def launch_backfill(client: DagsterGraphQLClient, assets: Sequence[str], partitions: Sequence[str]) -> str:
    """Ask the daemon for all partitions of some assets, and return the backfill's id."""
    parameters = {"assetSelection": [{"path": [name]} for name in assets], "partitionNames": list(partitions)}
    answer = client._execute(_BACKFILL, {"parameters": parameters})["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    return str(answer["backfillId"])


def wait_until(done: Callable[[], Any], what: str, cluster: Cluster, seconds: float, every: float = 1.0) -> Any:
    """Return what `done` returns once it is true.

    Raises:
        RuntimeError: a program of a living host has ended meanwhile.
        TimeoutError: it is not true after so many seconds.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = done()
        if found:
            return found
        for host in cluster.hosts:
            if host.is_alive:
                host.check()
        time.sleep(every)
    raise TimeoutError(f"{what}: not within {seconds:.0f} s")


def steps_by_host(instance: dg.DagsterInstance, run_id: str) -> list[tuple[str, str]]:
    """Return each beginning of a step in a run, in order: its asset, and the host of the worker that took it."""
    events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    taken = []
    for event in events:
        happened = event.dagster_event
        worker = happened.engine_event_data.metadata.get("Celery worker") if happened else None
        if worker is not None:
            taken.append((str(event.step_key), str(worker.value).split("@")[1]))
    return taken
