"""The job and the schedule that run the graph without anyone asking."""

import datetime
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg

from derma_assets.automation.freshness import FAIL_AFTER, WARN_AFTER
from derma_assets.automation.schedules import retraining_schedule
from derma_assets.definitions import defs
from derma_assets_tests.running import command, environment, said

_STATES = """
import json
from derma_assets.automation.schedules import retraining_schedule as schedule
from derma_assets.automation import sensors
every = [schedule, sensors.new_pictures, sensors.new_content, sensors.failed_run]
print(json.dumps({one.name: one.default_status.value for one in every}))
print(json.dumps([sensors.new_pictures.minimum_interval_seconds, sensors.new_content.minimum_interval_seconds]))
"""


def test_one_setting_turns_all_of_it_on(tmp_path: Path) -> None:
    env = environment(tmp_path, DERMA_AUTOMATIC="1", DERMA_WATCH_SECONDS="7", DERMA_WEBHOOK="http://127.0.0.1:1/")
    run = command("python", "-c", _STATES, env=env)
    assert run.returncode == 0, said(run)
    states, intervals = run.stdout.splitlines()
    assert set(json.loads(states).values()) == {"RUNNING"}
    assert json.loads(intervals) == [7, 7]


def test_every_asset_is_looked_at_every_week() -> None:
    graph = defs.resolve_asset_graph()
    wanted = dg.FreshnessPolicy.time_window(fail_window=FAIL_AFTER, warn_window=WARN_AFTER)
    assert {str(graph.get(key).freshness_policy) for key in graph.get_all_asset_keys()} == {str(wanted)}
    # The schedule's own interval, and time for its run to end in.
    assert datetime.timedelta(days=7) < WARN_AFTER < FAIL_AFTER <= datetime.timedelta(days=8)


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


def test_a_run_whose_process_was_killed_does_not_hold_the_others_for_ever(tmp_path: Path) -> None:
    home = environment(tmp_path)["DAGSTER_HOME"]
    with dg.DagsterInstance.from_config(home) as instance:
        assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == 1
        assert instance.run_monitoring_enabled
        assert 0 < instance.run_monitoring_max_runtime_seconds <= 24 * 3600
