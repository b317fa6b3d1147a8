"""A run in which the process of a step is killed: Celery computes the steps, in this process; the loop is Dagster's."""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import dagster_celery.tasks
import pytest
from billiard.exceptions import WorkerLostError
from celery.exceptions import TaskRevokedError
from dagster._core.execution.api import execute_plan_iterator
from dagster._core.test_utils import instance_for_test

from derma_assets.execution import executors
from derma_assets.execution.celery_config import CELERY
from derma_assets.execution.celery_executor import TRIED_AGAIN
from derma_assets.settings import Settings

STEPS = ("killed", "after_killed", "first", "second", "third")


def two_branches() -> dg.JobDefinition:
    """Return a job of five steps, of which one has nothing to do with the others."""

    @dg.op(pool="killed")
    def killed() -> int:
        return 1

    def following(name: str) -> Any:
        @dg.op(name=name)
        def follow(before: int) -> int:
            return before + 1

        return follow

    @dg.op
    def first() -> int:
        return 1

    @dg.job(executor_def=executors.chosen_executor(Settings(executor="celery")))
    def branches() -> None:
        following("after_killed")(killed())
        following("third")(following("second")(first()))

    return branches


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Its workers are this process: Celery's own way to be tried without a broker."""
    monkeypatch.setenv("DERMA_BROKER_URL", "amqp://nobody:nothing@127.0.0.1:1//")
    monkeypatch.setattr(executors, "CELERY", {**CELERY, "task_always_eager": True})
    overrides = {"concurrency": {"pools": {"granularity": "op", "default_limit": 1}}}
    # Dagster ends what copies a step's output by SIGTERM, and waits half a minute where that is ignored, as a process
    # below one that ignores it does: another test's library may have left it so.
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with instance_for_test(temp_dir=str(tmp_path), overrides=overrides) as made:
            yield made
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the process of a step is still to die."""
    times: Counter[str] = Counter()

    def dying(execution_plan: Any, *args: Any, **kwargs: Any) -> Iterator[dg.DagsterEvent]:
        (step,) = execution_plan.step_keys_to_execute
        if times[step] > 0:
            times[step] -= 1
            raise WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL)")
        yield from execute_plan_iterator(execution_plan, *args, **kwargs)

    monkeypatch.setattr(dagster_celery.tasks, "execute_plan_iterator", dying)
    return times


def run(instance: dg.DagsterInstance) -> dg.JobExecutionResult:
    """Execute the job, which must end."""
    results: list[dg.JobExecutionResult] = []

    def execute() -> None:
        with dg.execute_job(dg.reconstructable(two_branches), instance, raise_on_error=False) as result:
            results.append(result)

    running = threading.Thread(target=execute, daemon=True)
    running.start()
    running.join(timeout=600)
    assert results, "the run does not end"
    return results[0]


def happened(result: dg.JobExecutionResult) -> dict[str, str]:
    """Return how the tries of each step ended, one after the other."""
    ends = {"STEP_SUCCESS", "STEP_FAILURE", "STEP_UP_FOR_RETRY"}
    events = [event for event in result.all_events if event.event_type_value in ends]
    return {step: " ".join(one.event_type_value for one in events if one.step_key == step) for step in STEPS}


def test_a_step_whose_process_dies_each_time_fails_the_run_and_nothing_beside_it(
    instance: dg.DagsterInstance, losing: Counter[str]
) -> None:
    losing["killed"] = 99
    result = run(instance)
    assert not result.success
    assert happened(result) == {
        "killed": "STEP_UP_FOR_RETRY " * TRIED_AGAIN + "STEP_FAILURE",
        "after_killed": "",
        **dict.fromkeys(("first", "second", "third"), "STEP_SUCCESS"),
    }
    error = result.failure_data_for_node("killed").error  # type: ignore[union-attr]
    assert error is not None
    assert "The process that computed killed is gone" in error.message
    assert "SIGKILL" in str(error.cause)
    logged = [record.dagster_event for record in instance.all_logs(result.run_id) if record.dagster_event]
    assert [event.step_key for event in logged if event.is_step_failure] == ["killed"]
    stored = instance.get_run_by_id(result.run_id)
    assert stored is not None
    assert stored.status == dg.DagsterRunStatus.FAILURE
    held = instance.event_log_storage.get_concurrency_info("killed")
    assert (held.slot_count, held.active_slot_count, held.pending_step_count) == (1, 0, 0)


def test_a_step_whose_process_dies_once_is_done_by_the_next(instance: dg.DagsterInstance, losing: Counter[str]) -> None:
    losing["killed"] = 1
    result = run(instance)
    assert result.success
    assert happened(result) == {
        **dict.fromkeys(STEPS, "STEP_SUCCESS"),
        "killed": "STEP_UP_FOR_RETRY STEP_SUCCESS",
    }


def test_a_revoked_step_stays_revoked(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    class Revoked:
        def ready(self) -> bool:
            return True

        def get(self) -> None:
            raise TaskRevokedError("terminated")

    monkeypatch.setattr("derma_assets.execution.celery_executor._submit_task", lambda *_: Revoked())
    result = run(instance)
    assert not result.success
    said = [event.message or "" for event in result.all_events]
    assert any("was revoked" in one for one in said)
    assert happened(result) == dict.fromkeys(STEPS, "")
