"""Schedules: when the graph runs by itself."""

import dagster as dg

from derma_assets.automation.jobs import retraining_job

retraining_schedule = dg.ScheduleDefinition(
    name="retraining_schedule",
    job=retraining_job,
    cron_schedule="0 2 * * 0",
    execution_timezone="Asia/Almaty",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every Sunday at 02:00 in Almaty. Off until someone turns it on in the UI.",
)
