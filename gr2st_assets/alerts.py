"""Telling people that a run failed.

Belongs here: the sensor of failed runs, its log and its webhook. Does not belong here: what failed, which the run's own
log says.
"""

import json
import os
import urllib.request

import dagster as dg

from gr2st_assets.project import home

LOG = "alerts.jsonl"
WEBHOOK = "GR2ST_ALERT_WEBHOOK"
_TIMEOUT_S = 10


@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING)
def failed_runs(context: dg.RunFailureSensorContext) -> None:
    """Write each failed run into ``alerts.jsonl`` of the home folder, and post it to the webhook if there is one."""
    run = context.dagster_run
    alert = {
        "run_id": run.run_id,
        "job": run.job_name,
        "partition": run.tags.get("dagster/partition"),
        "cohort": run.tags.get("cohort"),
        "error": context.failure_event.message,
    }
    with (home() / LOG).open("a", encoding="utf-8") as log:
        log.write(json.dumps(alert, sort_keys=True) + "\n")
    if url := os.environ.get(WEBHOOK):
        post(url, alert)


def post(url: str, alert: dict[str, str | None]) -> None:
    """Send an alert as JSON; whatever goes wrong is the tick's error, which the UI shows.

    Raises
    ------
    ValueError
        Not an http address.
    OSError
        It could not be delivered.
    """
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{WEBHOOK} is an http address")
    body = json.dumps(alert).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - checked above
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310 - likewise
        return
