"""The job and the schedule that run the graph without anyone asking."""

import datetime
from zoneinfo import ZoneInfo

import dagster as dg

from derma_assets.automation.schedules import retraining_schedule
from derma_assets.definitions import defs


def test_the_job_covers_every_asset_and_check() -> None:
    job = defs.resolve_job_def("retraining_job")
    graph = defs.resolve_asset_graph()
    assert set(job.asset_layer.selected_asset_keys) == set(graph.get_all_asset_keys())
    assert set(job.asset_layer.asset_graph.asset_check_keys) == set(graph.asset_check_keys)


def test_the_schedule_is_weekly_in_almaty_and_off_until_someone_turns_it_on() -> None:
    assert retraining_schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert retraining_schedule.execution_timezone == "Asia/Almaty"
    minute, hour, day_of_month, month, day_of_week = retraining_schedule.cron_schedule.split()
    assert (minute, hour, day_of_month, month, day_of_week) == ("0", "2", "*", "*", "0")


def test_a_tick_asks_for_one_run_of_the_job() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        moment = datetime.datetime(2026, 1, 4, 2, tzinfo=ZoneInfo("Asia/Almaty"))
        context = dg.build_schedule_context(instance, scheduled_execution_time=moment)
        tick = defs.resolve_schedule_def("retraining_schedule").evaluate_tick(context)
    assert tick.run_requests is not None
    assert len(tick.run_requests) == 1
