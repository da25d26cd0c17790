"""Partition keys: one dynamic set of sections, one of folds.

Belongs here: the two definitions, and how a key is taken apart. Does not belong here: which sections a fold trains
on, which is data (``folds/fold_table``), never a partition mapping.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import dagster as dg
from filelock import FileLock

from gr2st_assets.project import home

SECTIONS = dg.DynamicPartitionsDefinition(name="sections")
"""Keys ``cohort/section``."""

FOLDS = dg.DynamicPartitionsDefinition(name="folds")
"""Keys ``cohort/section-<id>``, ``cohort/patient-<id>``, ``cohort/all``, ``external/<cohort>``."""

ALL_SECTIONS = dg.AllPartitionMapping()


@dataclass(frozen=True)
class PartitionKey:
    """A section or fold key, taken apart at its slash."""

    cohort: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "PartitionKey":
        """Split ``cohort/name``."""
        cohort, _, name = text.partition("/")
        return cls(cohort, name)


def set_keys(instance: dg.DagsterInstance, definition: dg.DynamicPartitionsDefinition, keys: Sequence[str]) -> None:
    """Make the registered keys equal to the given ones; known keys stay where they are in the order."""
    with FileLock(home() / ".partitions.lock"):  # of two that add one key at once Dagster fails one
        known = instance.get_dynamic_partitions(definition.name)
        for gone in sorted(set(known) - set(keys)):
            instance.delete_dynamic_partition(definition.name, gone)
        if new := [key for key in keys if key not in set(known)]:
            instance.add_dynamic_partitions(definition.name, new)


def contiguous_ranges(ordered: list[str], wanted: set[str]) -> list[tuple[str, str]]:
    """Group neighbouring keys into (first, last), so that one Dagster run can take each."""
    ranges: list[tuple[str, str]] = []
    previous_taken = False
    for key in ordered:
        taken = key in wanted
        if taken and previous_taken:
            ranges[-1] = (ranges[-1][0], key)
        elif taken:
            ranges.append((key, key))
        previous_taken = taken
    return ranges


def shares(
    ordered: list[str], key_range: tuple[str, str], n_shares: int, costs: Mapping[str, float]
) -> list[tuple[str, str]]:
    """Part a range into at most ``n_shares`` of neighbouring keys, whose summed costs are as even as cuts allow."""
    keys = ordered[ordered.index(key_range[0]) : ordered.index(key_range[1]) + 1]
    spent = [0.0, *accumulate(costs[key] for key in keys)]
    goals = [share * spent[-1] / n_shares for share in range(n_shares + 1)]
    cuts = [min(range(len(spent)), key=lambda cut: abs(spent[cut] - goal)) for goal in goals]
    return [(keys[a], keys[b - 1]) for a, b in pairwise(cuts) if a < b]
