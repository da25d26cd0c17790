"""Running the stages in turn on the project's own Dagster instance, without a daemon.

Belongs here: launching jobs over the right partitions, going on without the sections that failed. Does not belong
here: what the stages hold (``automation``), processes (``worker``), printing. The runs stand in the history that the
UI shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg

from gr2st_assets import register
from gr2st_assets.automation import (
    FOLD_STAGE,
    FOLD_TABLE_STAGE,
    READERS,
    SECTION_STAGE,
    SERVING_STAGE,
    STUDY_STAGE,
    STUDY_SUMMARY_STAGE,
    SUMMARY_STAGE,
)
from gr2st_assets.currency import stale_keys
from gr2st_assets.dead_runs import end_dead_runs
from gr2st_assets.ingest import register_sections
from gr2st_assets.lake import Lake
from gr2st_assets.launch import Task, run_job
from gr2st_assets.models import sweep_finished
from gr2st_assets.partitions import FOLDS, SECTIONS, PartitionKey, contiguous_ranges, shares
from gr2st_assets.project import home, open_instance
from gr2st_assets.resources import Experiment
from gr2st_assets.sections import read_folds
from gr2st_assets.selection import SERVED, STUDIES, assets_for, assets_for_studies, within
from gr2st_assets.served import Champions
from gr2st_assets.slots import section_slot
from gr2st_assets.worker import n_workers, run_ranges
from gr2st_core.errors import MissingArtifactError

_STUDIED_UNITS = ("section", "patient")
"""What folds of studies hold out: within one cohort, and something."""

_COST_OF_IMAGE = 20.0
"""Of a section with an image; one without costs 1."""


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
        Methods to train and score, as ``selection.assets_for`` takes them.
    scored_only
        Whether the folds that hold nobody out, whose models are served and never scored, are left alone.

    Raises
    ------
    MissingArtifactError
        A fold that the cohorts do not have, or a panel file that does not exist.
    SettingsError
        No such target or method, or settings that are not valid.
    """
    stages = _Stages(lake, open_instance(), Outcome(), assets_for(methods))
    folds = stages.prepare(cohorts, experiments, only_folds)
    if scored_only and not only_folds:
        folds = {key for key in folds if not key.endswith("/all")}
    for experiment in experiments:
        stages.run(FOLD_STAGE, FOLDS, folds, experiment)
    return stages.finish(Task(SUMMARY_STAGE, experiment=experiments[0]), served_with=experiments[0])


def run_studies(
    lake: Lake, cohort: str, experiment: dict[str, Any], only_folds: Sequence[str] = (), studies: Sequence[str] = ()
) -> Outcome:
    """Run ablation and sensitivity of GR2ST, and of what they read only what is not current.

    Parameters
    ----------
    cohort
        Registered name.
    experiment
        Run configuration of the ``experiment`` resource.
    only_folds
        Fold keys to run; all folds within the cohort that hold sections out by default.
    studies
        Names of studies; both by default.

    Raises
    ------
    MissingArtifactError, SettingsError
        As `materialize`; no such study.
    """
    names = assets_for_studies(studies)
    stages = _Stages(lake, open_instance(), Outcome(), [name for name in names if name not in STUDIES.values()])
    folds = stages.prepare([cohort], [experiment], only_folds)
    if not only_folds:
        folds = {key for key, fold in read_folds(lake).items() if key in folds and fold.split_unit in _STUDIED_UNITS}
    stages.run(FOLD_STAGE, FOLDS, folds, experiment)
    own = replace(stages, names=[name for name in names if name in STUDIES.values()])
    own.run(STUDY_STAGE, FOLDS, folds - set(stages.outcome.failed), experiment)
    return stages.finish(Task(STUDY_SUMMARY_STAGE), Task(SUMMARY_STAGE, READERS))


def summarize(lake: Lake) -> Outcome:
    """Make the fold table and what stands after the folds, and train nothing."""
    stages = _Stages(lake, open_instance(), Outcome(), [])
    end_dead_runs(stages.instance)
    stages.outcome.failed.update(run_job(stages.instance, Task(FOLD_TABLE_STAGE)))
    return stages.finish(Task(SUMMARY_STAGE), served_with={})


def _costs(lake: Lake, partitions: dg.DynamicPartitionsDefinition, keys: set[str]) -> dict[str, float]:
    """What a partition takes, roughly: of a section its image, of a fold its training sections."""
    if partitions == FOLDS:
        folds = read_folds(lake)
        return {key: len(folds[key].train) for key in keys}
    cohorts = {PartitionKey.parse(key).cohort for key in keys}
    has_image = {key: known for name in cohorts for key, known in register.with_image(lake, name).items()}
    return {key: _COST_OF_IMAGE if has_image[key] else 1.0 for key in keys}


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

    def prepare(
        self, cohorts: Sequence[str], experiments: Sequence[dict[str, Any]], only_folds: Sequence[str]
    ) -> set[str]:
        """Run what stands before the folds; the keys of the folds to run."""
        for experiment in experiments:
            Experiment(**experiment).variant()
            Experiment(**experiment).settings()
        end_dead_runs(self.instance)
        register_sections(self.lake, self.instance)
        sections = [str(key) for name in cohorts for key in register.section_keys(self.lake, name)]
        self.run(SECTION_STAGE, SECTIONS, set(sections), experiments[0])
        self.outcome.failed.update(run_job(self.instance, Task(FOLD_TABLE_STAGE)))
        folds = {key for key in self.instance.get_dynamic_partitions(FOLDS.name) if _belongs(key, cohorts)}
        if unknown := sorted(set(only_folds) - folds):
            raise MissingArtifactError("no such fold", found=unknown, expected=sorted(folds))
        return set(only_folds) or folds

    def finish(self, *tasks: Task, served_with: dict[str, Any] | None = None) -> Outcome:
        """Run what stands after the folds; drop the checkpoints if nothing failed.

        Parameters
        ----------
        served_with
            Run configuration under which champions predict other sections, of all cohorts; None leaves these alone.
        """
        for task in tasks:
            self.outcome.failed.update(run_job(self.instance, task))
        if served_with is not None and self._serve(served_with):
            self.outcome.failed.update(run_job(self.instance, Task(SUMMARY_STAGE, READERS)))
        if not self.outcome.failed:
            sweep_finished(home())
        return self.outcome

    def _serve(self, experiment: dict[str, Any]) -> bool:
        """Let champions predict the sections that they were not trained on; whether anything was not current."""
        known = {key for name in register.names(self.lake) for key in register.section_keys(self.lake, name)}
        made = {key for key in known if self.lake.head(section_slot(self.lake, SERVED, key))}
        sections = {str(key) for key in known & (Champions(self.lake).sections | made)}
        stale = stale_keys(self.lake, [SERVED], sections, Experiment(**experiment))
        if stale:
            self._run(Task(SERVING_STAGE, [SERVED], experiment), SECTIONS, stale)
        return bool(stale)

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
            ranges = shares(ordered, ranges[0], n_workers(), _costs(self.lake, partitions, keys))
        failed = run_ranges(self.instance, task, ranges)
        self.outcome.failed.update(failed)
        left = keys - set(failed)
        if failed and left:
            self._run(task, partitions, left)
