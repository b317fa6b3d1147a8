"""Sensors: what starts a run without anyone asking. All are off until `DERMA_AUTOMATIC` or someone turns them on."""

from functools import cache
from pathlib import Path

import dagster as dg

from derma_assets.automation.run_tags import run_tags
from derma_assets.automation.watch import look
from derma_assets.automation.webhook import failure_document, post
from derma_assets.dataset.manifest import Known, known_files
from derma_assets.settings import settings
from derma_assets.storage.earlier_table import earlier_table

_STATUS = dg.DefaultSensorStatus.RUNNING if settings().automatic else dg.DefaultSensorStatus.STOPPED
_EVERY_S = settings().watch_seconds
# A run whose process dies is started again by the daemon. One that fails is not: a person has to see why.
_AGAIN = {"dagster/max_retries": "2"}


@cache
def _known(incoming: Path) -> Known:
    """Return what this process knows of the dropped pictures: at first what the last run found, then what looks add."""
    manifest = earlier_table(settings().store, "raw_images")
    return known_files(None if manifest is None else manifest[manifest["path"].str.startswith(f"{incoming}/")])


@dg.sensor(
    asset_selection=dg.AssetSelection.assets("raw_metadata", "raw_images"),
    minimum_interval_seconds=_EVERY_S,
    default_status=_STATUS,
)
def new_pictures(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Has metadata or pictures read anew once a batch of new ones is whole; `new_content` takes it from there."""
    found = look(settings().incoming, context.cursor, _known(settings().incoming))
    if found.request is None:
        return dg.SensorResult(skip_reason=found.said, cursor=found.cursor)
    context.log.info(found.said)
    request = dg.RunRequest(
        run_key=found.request,
        asset_selection=[dg.AssetKey(found.of)],
        tags={**run_tags(), **_AGAIN, "derma/incoming": found.request},
    )
    return dg.SensorResult(run_requests=[request], cursor=found.cursor)


new_content = dg.AutomationConditionSensorDefinition(
    "new_content",
    target=dg.AssetSelection.all(),
    minimum_interval_seconds=_EVERY_S,
    default_status=_STATUS,
    run_tags={**run_tags(), **_AGAIN},
    description="Makes again what has other content upstream, down to the served bundle, in one run.",
)


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING if settings().webhook else dg.DefaultSensorStatus.STOPPED,
    monitor_all_code_locations=True,
)
def failed_run(context: dg.RunFailureSensorContext) -> None:
    """Posts to `DERMA_WEBHOOK` what failed and why."""
    address = settings().webhook
    if not address:
        return
    run = context.dagster_run
    failures = [event.step_failure_data.error for event in context.get_step_failure_events()]
    errors = [error.message for error in failures if error is not None]
    error = "\n".join(errors) or context.failure_event.message or ""
    post(address, failure_document(run.run_id, run.job_name, error, dict(run.tags)))
