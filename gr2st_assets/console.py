"""What a run prints: one line a step's progress, nothing of Dagster's own events.

Belongs here: the Dagster logger of the command line. Does not belong here: what is logged.
"""

import logging
import sys
import time

import dagster as dg


class _Line(logging.Formatter):
    """Seconds since the run began, then the message."""

    def __init__(self) -> None:
        super().__init__()
        self.started = time.monotonic()

    def format(self, record: logging.LogRecord) -> str:
        meta = getattr(record, "dagster_meta", None)
        message = (meta or {}).get("orig_message", record.getMessage())
        return f"{time.monotonic() - self.started:7.1f} s  {message}"


class _OwnMessages(logging.Filter):
    """Pass what assets say and what went wrong; Dagster's own events stay in the event log."""

    def filter(self, record: logging.LogRecord) -> bool:
        meta = getattr(record, "dagster_meta", None) or {}
        return meta.get("dagster_event") is None


@dg.logger(description="progress of a run on the command line")
def progress_logger(_: dg.InitLoggerContext) -> logging.Logger:
    """Make the logger; messages go to standard error, so that data on standard output stays clean."""
    logger = logging.Logger("gr2st", level=logging.INFO)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    handler.addFilter(_OwnMessages())
    logger.addHandler(handler)
    return logger
