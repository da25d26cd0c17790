"""Training again: on schedule, and when a cohort of the inbox is complete.

Belongs here: what is trained again and when (``settings/retrain.yml``), its job, schedule and sensor. Does not belong
here: the stages themselves (``runs``), which the job asks the ``gr2st`` command for, as a person would.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import yaml
from dagster._utils.schedules import is_valid_cron_schedule
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from gr2st_assets import register
from gr2st_assets.assets.folds import NAME as FOLD_TABLE
from gr2st_assets.assets.folds import section_inputs
from gr2st_assets.lake import Lake
from gr2st_assets.partitions import SECTIONS
from gr2st_assets.project import home
from gr2st_assets.resources import LakeResource
from gr2st_assets.selection import assets_for, within
from gr2st_core.errors import MissingArtifactError, SettingsError

PLAN = Path("settings") / "retrain.yml"
INTERVAL_S = 30

_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_UNFINISHED = [status for status in dg.DagsterRunStatus if status not in _ENDED]


class RetrainPlan(BaseModel):
    """What is trained again, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str = Field("0 3 * * 0", description="when, in UTC: Sundays at three by default")
    panel: str = Field("fold_safe", description="fold_safe, breast_markers, or a text file with one gene a line")
    targets: tuple[str, ...] = Field(("per_spot",), min_length=1)
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    methods: tuple[str, ...] = Field(
        ("blend_default", "gr2st_ours", "low_rank_m224", "ridge_m224", "null_training_mean", "null_same_place"),
        min_length=1,
        description="methods that compete, and the nulls that they must beat",
    )
    settings: str = Field("", description="YAML overrides of the settings; empty: the defaults")

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, text: str) -> str:
        if not is_valid_cron_schedule(text):
            raise ValueError("five fields of cron, as 0 3 * * 0")
        return text


def retrain_plan() -> RetrainPlan:
    """Read ``settings/retrain.yml`` of the home folder; the defaults without one.

    Raises
    ------
    SettingsError
        Unknown key, or a value of the wrong kind.
    """
    path = home() / PLAN
    if not path.is_file():
        return RetrainPlan()
    try:
        return RetrainPlan(**(yaml.safe_load(path.read_text(encoding="utf-8")) or {}))
    except (ValidationError, yaml.YAMLError, TypeError) as error:
        raise SettingsError("the plan of retraining is not valid", file=path, found=str(error)) from error


def planned_features() -> list[str]:
    """Section tables that the planned methods read; those of all methods where the plan cannot be read."""
    try:
        return within(assets_for(retrain_plan().methods), SECTIONS.name)
    except SettingsError:
        return within(assets_for(()), SECTIONS.name)


class Cohorts(dg.Config):
    """Whose folds to train; those of all cohorts by default."""

    cohorts: list[str] = Field(default_factory=list)


@dg.op(
    out=dg.Out(dg.Nothing),
    description="Train, score, and decide on the champion, as `gr2st materialize` does; what is current is left.",
)
def train_again(context: dg.OpExecutionContext, config: Cohorts) -> None:
    """Run the command that a person would.

    Raises
    ------
    Failure
        Something failed; the log says what.
    """
    arguments = materialize_arguments(retrain_plan(), config.cohorts)
    context.log.info(f"gr2st {' '.join(arguments)}")
    command = [sys.executable, "-W", "ignore", "-m", "gr2st_assets", *arguments]
    with subprocess.Popen(command, cwd=home(), stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - this project's own command
        try:
            for line in process.stderr:
                context.log.info(line.rstrip())
        finally:
            if process.poll() is None:
                process.terminate()
        code = process.wait()
    if code:
        raise dg.Failure(f"gr2st materialize ended with {code}; the log says what failed", allow_retries=False)


def materialize_arguments(plan: RetrainPlan, cohorts: list[str]) -> list[str]:
    """Arguments of ``gr2st`` that do what the plan says."""
    repeated = {
        "--cohort": cohorts,
        "--target": plan.targets,
        "--seed": plan.seeds,
        "--method": plan.methods,
    }
    settings = ["--settings", plan.settings] if plan.settings else []
    options = [word for option, values in repeated.items() for value in values for word in (option, str(value))]
    return ["materialize", "--panel", plan.panel, *settings, *options]


@dg.job(description="Train the methods of the plan again, score them, decide.", executor_def=dg.in_process_executor)
def retrain() -> None:
    """Train again."""
    train_again()


def _cron() -> str:
    """When, by the plan; by the default where the plan cannot be read, which every tick then says."""
    try:
        return retrain_plan().cron
    except SettingsError:
        return RetrainPlan().cron


@dg.schedule(
    job=retrain,
    cron_schedule=_cron(),
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def retrain_schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Train again if there is anything to train on and nobody is at it; what is current costs seconds."""
    retrain_plan()
    if not register.names(LakeResource().open()):
        yield dg.SkipReason("no cohort is registered")
    elif _goes_on(context.instance):
        yield dg.SkipReason("the last retraining has not ended")
    else:
        yield dg.RunRequest()


def _goes_on(instance: dg.DagsterInstance) -> bool:
    return bool(instance.get_runs(dg.RunsFilter(job_name=retrain.name, statuses=_UNFINISHED), limit=1))


@dg.sensor(job=retrain, minimum_interval_seconds=INTERVAL_S, default_status=dg.DefaultSensorStatus.RUNNING)
def complete_cohorts(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Train and predict a cohort of the inbox once all its sections are made, one cohort at a time."""
    store = LakeResource().open()
    states = {name: _state(store, name) for name in register.names(store) if register.is_from_inbox(store, name)}
    known = json.loads(context.cursor or "{}")
    waiting = sorted(name for name, state in states.items() if state and known.get(name) != state)
    if not waiting or _goes_on(context.instance):
        yield dg.SkipReason("a retraining goes on" if waiting else "no cohort of the inbox is new and complete")
        return
    name = waiting[0]
    context.update_cursor(json.dumps({**known, name: states[name]}, sort_keys=True))
    config = dg.RunConfig(ops={"train_again": Cohorts(cohorts=[name])})
    yield dg.RunRequest(f"{name}:{states[name]}", config, {"cohort": name})


def _state(store: Lake, name: str) -> str:
    """Digest of the cohort's sections and their roles; empty until all are made and the fold table knows them so.

    Slides without counts have no role, and a digest too: materializing them lets the champions predict them.
    """
    head = store.head(store.slot(FOLD_TABLE))
    try:
        made = section_inputs(store, register.section_keys(store, name))
    except MissingArtifactError:
        return ""
    if head is None or not made.items() <= head.provenance.inputs.items():
        return ""
    rows = [row for row in store.read_table(head.slot, digest=head.digest).to_pylist() if row["cohort"] == name]
    return hashlib.sha256(json.dumps([made, rows], sort_keys=True).encode()).hexdigest()[:16]
