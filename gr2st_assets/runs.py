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
from gr2st_assets.definitions import TABLE_ASSETS
from gr2st_assets.lake import Lake
from gr2st_assets.launch import run_job
from gr2st_assets.partitions import FOLDS, SECTIONS, contiguous_ranges, set_keys, shares
from gr2st_assets.project import open_instance
from gr2st_assets.resources import Experiment
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
    lake: Lake, cohorts: Sequence[str], experiments: Sequence[dict[str, Any]], only_folds: Sequence[str] = ()
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

    Raises
    ------
    MissingArtifactError
        A fold that the cohorts do not have, or a panel file that does not exist.
    SettingsError
        No such target, or settings that are not valid.
    """
    for experiment in experiments:
        Experiment(**experiment).variant()
        Experiment(**experiment).settings()
    instance, outcome = open_instance(), Outcome()
    end_dead_runs(instance)
    register_sections(lake, instance)
    sections = [str(entry.key) for name in cohorts for entry in register.load(lake, name).entries]
    _run_stale(lake, instance, SECTION_STAGE, SECTIONS, set(sections), experiments[0], outcome)
    outcome.failed.update(run_job(instance, FOLD_TABLE_STAGE, None, {}))
    folds = {key for key in instance.get_dynamic_partitions(FOLDS.name) if _belongs(key, cohorts)}
    if unknown := sorted(set(only_folds) - folds):
        raise MissingArtifactError("no such fold", found=unknown, expected=sorted(folds))
    folds = set(only_folds) or folds
    for experiment in experiments:
        _run_stale(lake, instance, FOLD_STAGE, FOLDS, folds, experiment, outcome)
    outcome.failed.update(run_job(instance, SUMMARY_STAGE, None, experiments[0]))
    return outcome


def register_sections(lake: Lake, instance: dg.DagsterInstance) -> None:
    """Make the section partitions equal to the register's, so that the UI offers what is there."""
    keys = [str(key) for name in register.names(lake) for key in register.section_keys(lake, name)]
    set_keys(instance, SECTIONS, keys)


def _belongs(fold_key: str, cohorts: Sequence[str]) -> bool:
    first, _, second = fold_key.partition("/")
    return first in cohorts or (first == "external" and second in cohorts)


def _run_stale(
    lake: Lake,
    instance: dg.DagsterInstance,
    job: str,
    partitions: dg.DynamicPartitionsDefinition,
    keys: set[str],
    experiment: dict[str, Any],
    outcome: Outcome,
) -> None:
    """Run a job over those partitions of which anything is not current."""
    names = [asset.key.to_user_string() for asset in TABLE_ASSETS if asset.partitions_def == partitions]
    stale = stale_keys(lake, names, keys, Experiment(**experiment))
    outcome.current.extend(sorted(keys - stale))
    if stale:
        _run_partitions(instance, job, partitions, stale, experiment, outcome)


def _run_partitions(
    instance: dg.DagsterInstance,
    job: str,
    partitions: dg.DynamicPartitionsDefinition,
    keys: set[str],
    experiment: dict[str, Any],
    outcome: Outcome,
) -> None:
    """Run a job over partitions; where some fail, run it again without them so that what follows goes on."""
    ordered = list(instance.get_dynamic_partitions(partitions.name))
    ranges = contiguous_ranges(ordered, keys)
    if len(ranges) == 1:
        ranges = shares(ordered, ranges[0], n_workers())
    failed = run_ranges(instance, job, ranges, experiment)
    outcome.failed.update(failed)
    left = keys - set(failed)
    if failed and left:
        _run_partitions(instance, job, partitions, left, experiment, outcome)
