"""Dagster's Celery executor, with one difference: a step whose process is gone is tried again, and then it has failed.

A process that is killed, most often for want of memory, leaves no event behind. The loop of `dagster_celery` then
submits nothing more, yet waits for all that is left to submit: the run never ends and keeps its slots of the pools.
Here such an answer is put in words that the loop knows, as an event of the step.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import dagster as dg
from celery.exceptions import TaskRevokedError
from dagster._core.events import DagsterEvent
from dagster._core.execution.plan.objects import StepFailureData, StepRetryData
from dagster._core.execution.retries import RetryMode
from dagster._utils.error import SerializableErrorInfo, serializable_error_info_from_exc_info
from dagster_celery.core_execution_loop import core_celery_execution_loop
from dagster_celery.executor import CELERY_CONFIG, CeleryExecutor, _submit_task
from dagster_shared.serdes import serialize_value

# So often a step is submitted again whose process was lost. What kills it may kill it each time.
TRIED_AGAIN = 2


class _Answer:
    """The `AsyncResult` of a step, which says what has become of it whatever has."""

    def __init__(self, result: Any, context: Any, step: Any, lost: Counter[str]) -> None:
        self._result, self._context, self._step, self._lost = result, context, step, lost

    def ready(self) -> bool:
        """Return whether `get` has something to say."""
        return bool(self._result.ready())

    def revoke(self) -> None:
        """Let no worker begin with the step any more."""
        self._result.revoke()

    def get(self) -> list[str]:
        """Return the step's events, serialized.

        Raises:
            TaskRevokedError: the step was revoked.
        """
        try:
            events: list[str] = self._result.get()
        except TaskRevokedError:
            raise
        except Exception:
            return [serialize_value(self._event_of_loss())]
        return events

    def _event_of_loss(self) -> DagsterEvent:
        """Return the event, which is in the log of the run by then, of a step that has not answered."""
        context = self._context.for_step(self._step)
        error = SerializableErrorInfo(
            f"The process that computed {self._step.key} is gone, or could not say what it did. Most often it has been "
            "killed for want of memory: give its worker more, or fewer steps at a time.\n",
            stack=[],
            cls_name="StepLost",
            cause=serializable_error_info_from_exc_info(sys.exc_info()),
        )
        self._lost[self._step.key] += 1
        if self._lost[self._step.key] <= TRIED_AGAIN and self._context.executor.retries.enabled:
            return DagsterEvent.step_retry_event(context, StepRetryData(error=error))
        return DagsterEvent.step_failure_event(context, StepFailureData(error=error, user_failure_data=None))


class LossAwareCeleryExecutor(CeleryExecutor):  # type: ignore[misc]
    """Submits the steps of a run to Celery; see the module."""

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[DagsterEvent]:
        """Compute the steps of a plan, and yield what happens."""
        lost: Counter[str] = Counter()

        def submit(app: Any, context: Any, step: Any, *how: Any) -> _Answer:
            return _Answer(_submit_task(app, context, step, *how), context, step, lost)

        events: Iterator[DagsterEvent] = core_celery_execution_loop(plan_context, execution_plan, submit)
        return events


@dg.executor(
    name="celery",
    config_schema=CELERY_CONFIG,
    requirements=dg.multiple_process_executor_requirements(),
)
def loss_aware_celery_executor(init_context: dg.InitExecutorContext) -> LossAwareCeleryExecutor:
    """Compute each step of a run by a worker of Celery; configured as `dagster_celery.celery_executor` is."""
    config = init_context.executor_config
    return LossAwareCeleryExecutor(
        retries=RetryMode.from_config(config["retries"]),  # type: ignore[arg-type]
        **{name: config.get(name) for name in ("broker", "backend", "include", "config_source")},
    )
