"""Schedules: when the graph runs by itself."""

import dagster as dg

from derma_assets.automation.jobs import retraining_job
from derma_assets.settings import settings

retraining_schedule = dg.ScheduleDefinition(
    name="retraining_schedule",
    job=retraining_job,
    cron_schedule="0 2 * * 0",
    execution_timezone="Asia/Almaty",
    default_status=dg.DefaultScheduleStatus.RUNNING if settings().automatic else dg.DefaultScheduleStatus.STOPPED,
    description="Every Sunday at 02:00 in Almaty: takes in whatever is new. Off until `DERMA_AUTOMATIC` or someone "
    "turns it on.",
)
