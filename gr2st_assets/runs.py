"""Running the stages in turn on the project's own Dagster instance, without a daemon.

Belongs here: launching jobs over the right partitions, going on without the sections that failed. Does not belong
here: what the stages hold (``automation``), processes (``worker``), printing. The runs stand in the history that the
UI shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from gr2st_assets import register
from gr2st_assets.automation import FOLD_STAGE, FOLD_TABLE_STAGE, SECTION_STAGE, SUMMARY_STAGE
from gr2st_assets.currency import stale_keys
from gr2st_assets.dead_runs import end_dead_runs
from gr2st_assets.lake import Lake
from gr2st_assets.launch import Task, run_job
from gr2st_assets.models import sweep_finished
from gr2st_assets.partitions import FOLDS, SECTIONS, contiguous_ranges, set_keys, shares
from gr2st_assets.project import home, open_instance
from gr2st_assets.resources import Experiment
from gr2st_assets.selection import assets_for, within
from gr2st_assets.worker import n_workers, run_ranges
from gr2st_core.errors import MissingArtifactError


@dataclass
class Outcome:
    """What came of a materialization.

    Attributes
    ----------
    failed
        Partition keys that failed, with the error of each step that said so.
    current
        Partition keys that needed no run, once per experiment.
    """

    failed: dict[str, str] = field(default_factory=dict)
    current: list[str] = field(default_factory=list)


def materialize(
    lake: Lake,
    cohorts: Sequence[str],
    experiments: Sequence[dict[str, Any]],
    only_folds: Sequence[str] = (),
    methods: Sequence[str] = (),
    *,
    scored_only: bool = False,
) -> Outcome:
    """Run everything for some cohorts: sections, fold table, folds under every experiment, summary.

    Parameters
    ----------
    cohorts
        Registered names.
    experiments
        Run configurations of the ``experiment`` resource; the first also serves the stages without folds.
    only_folds
        Fold keys to run; all folds of the cohorts by default.
    methods
        Names of methods to train and score; all by default.
    scored_only
        Whether the folds that hold nobody out, whose models are served and never scored, are left alone.

    Raises
    ------
    MissingArtifactError
        A fold that the cohorts do not have, or a panel file that does not exist.
    SettingsError
        No such target or method, or settings that are not valid.
    """
    names = assets_for(methods)
    for experiment in experiments:
        Experiment(**experiment).variant()
        Experiment(**experiment).settings()
    instance, outcome = open_instance(), Outcome()
    end_dead_runs(instance)
    register_sections(lake, instance)
    sections = [str(entry.key) for name in cohorts for entry in register.load(lake, name).entries]
    stages = _Stages(lake, instance, outcome, names)
    stages.run(SECTION_STAGE, SECTIONS, set(sections), experiments[0])
    outcome.failed.update(run_job(instance, Task(FOLD_TABLE_STAGE)))
    folds = {key for key in instance.get_dynamic_partitions(FOLDS.name) if _belongs(key, cohorts)}
    if unknown := sorted(set(only_folds) - folds):
        raise MissingArtifactError("no such fold", found=unknown, expected=sorted(folds))
    folds = set(only_folds) or {key for key in folds if not (scored_only and key.endswith("/all"))}
    for experiment in experiments:
        stages.run(FOLD_STAGE, FOLDS, folds, experiment)
    outcome.failed.update(run_job(instance, Task(SUMMARY_STAGE, experiment=experiments[0])))
    if not outcome.failed:
        sweep_finished(home())
    return outcome


def register_sections(lake: Lake, instance: dg.DagsterInstance) -> None:
    """Make the section partitions equal to the register's, so that the UI offers what is there."""
    keys = [str(key) for name in register.names(lake) for key in register.section_keys(lake, name)]
    set_keys(instance, SECTIONS, keys)


def _belongs(fold_key: str, cohorts: Sequence[str]) -> bool:
    first, _, second = fold_key.partition("/")
    return first in cohorts or (first == "external" and second in cohorts)


@dataclass(frozen=True)
class _Stages:
    """Running the chosen assets of partitioned stages."""

    lake: Lake
    instance: dg.DagsterInstance
    outcome: Outcome
    names: Sequence[str]

    def run(
        self, job: str, partitions: dg.DynamicPartitionsDefinition, keys: set[str], experiment: dict[str, Any]
    ) -> None:
        """Run a job over those partitions of which anything is not current."""
        names = within(self.names, partitions.name)
        stale = stale_keys(self.lake, names, keys, Experiment(**experiment))
        self.outcome.current.extend(sorted(keys - stale))
        if stale:
            self._run(Task(job, names, experiment), partitions, stale)

    def _run(self, task: Task, partitions: dg.DynamicPartitionsDefinition, keys: set[str]) -> None:
        """Run a job over partitions; where some fail, run it again without them so that what follows goes on."""
        ordered = list(self.instance.get_dynamic_partitions(partitions.name))
        ranges = contiguous_ranges(ordered, keys)
        if len(ranges) == 1:
            ranges = shares(ordered, ranges[0], n_workers())
        failed = run_ranges(self.instance, task, ranges)
        self.outcome.failed.update(failed)
        left = keys - set(failed)
        if failed and left:
            self._run(task, partitions, left)
