"""What a run says on the console: each step as it begins and ends, each check's verdict, and every warning.

Dagster's own console logger writes several lines of internals for each of these; the UI keeps them all anyway.
"""

import logging
import sys

import dagster as dg
from dagster import DagsterEventType

_STEPS = {
    DagsterEventType.STEP_START: "started",
    DagsterEventType.STEP_SUCCESS: "done",
    DagsterEventType.ASSET_CHECK_EVALUATION: "check",
}


class _StepLines(logging.Formatter):
    """One line a record; an event of a step is told in words of its own."""

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "dagster_event", None)
        if event is not None and event.is_step_failure:
            return f"{self.formatTime(record, '%H:%M:%S')} failed   {event.step_key}\n\n{_reason(event)}\n"
        time = self.formatTime(record, "%H:%M:%S")
        if event is None or event.event_type not in _STEPS:
            return f"{time} {record.levelname.lower():8} {record.getMessage()}"
        about = ""
        if event.event_type is DagsterEventType.STEP_SUCCESS:
            about = f" in {event.event_specific_data.duration_ms / 1000:.1f} s"
        elif event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
            verdict = event.asset_check_evaluation_data
            about = f": {'passed' if verdict.passed else verdict.severity.value}"
            about += f", {verdict.description}" if verdict.description else ""
        return f"{time} {_STEPS[event.event_type]:8} {event.step_key}{about}"


def _reason(event: dg.DagsterEvent) -> str:
    """Return what went wrong: the message alone when it is meant for a person, else with its traceback."""
    error = event.step_failure_data.error
    if error is None:
        return event.message or ""
    if error.cls_name in (dg.Failure.__name__, "DagsterAssetCheckFailedError"):
        # The text repeats the class's full name in front.
        return error.message.split(f"{error.cls_name}: ", 1)[-1].strip()
    return error.to_string()


def _worth_saying(record: logging.LogRecord) -> bool:
    event = getattr(record, "dagster_event", None)
    if event is not None and event.event_type is DagsterEventType.RUN_FAILURE:
        return False  # the step that failed has said why
    if record.getMessage().endswith("Not executing."):
        return False  # one line for each step behind the one that failed would bury the reason
    return record.levelno >= logging.INFO or (event is not None and event.event_type in _STEPS)


@dg.logger
def console_logger(init_context: dg.InitLoggerContext) -> logging.Logger:
    """One line for each step and check, and every warning; the internals stay in the UI."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_StepLines())
    handler.addFilter(_worth_saying)
    logger = logging.Logger("derma_assets", level=logging.DEBUG)
    logger.addHandler(handler)
    return logger
