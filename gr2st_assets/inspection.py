"""What a cohort folder must pass before its sections are registered.

Belongs here: listing a folder and reading every section completely in the parsing process, and faults that only show
across sections. Does not belong here: parsing (``gr2st_core.cohorts``), what is remembered (``register``).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr2st_assets import register
from gr2st_assets.lake import Lake
from gr2st_assets.parsing import SectionParser
from gr2st_assets.register import RegisteredCohort
from gr2st_core.errors import CohortError, DataError, SchemaError

if TYPE_CHECKING:
    from gr2st_core.cohorts.records import SectionEntry
    from gr2st_core.settings import Settings

_CONTENTS = ("counts", "image")
"""Digests by which two sections are the same."""


@dataclass(frozen=True)
class Inspection:
    """What came of looking at a folder.

    Attributes
    ----------
    cohort
        The sections without a fault.
    facts
        What ``SectionParser.inspect`` gave of each of them, by section key.
    faults
        Everything wrong with the others.
    """

    cohort: RegisteredCohort
    facts: Mapping[str, Mapping[str, Any]]
    faults: list[DataError]


def inspect(
    lake: Lake,
    name: str,
    folder: Path,
    settings: "Settings",
    progress: Callable[[str, int, int], None],
    distrusted: Mapping[Path, DataError],
) -> Inspection:
    """Read every section of a folder completely, and collect every fault.

    Parameters
    ----------
    distrusted
        Files known to be wrong, with what is: they cost the sections they belong to. A patient table or cohort file
        costs all.

    Raises
    ------
    DataError
        If the folder has no known layout.
    """
    from gr2st_core.training.folds import EXTERNAL

    if name == EXTERNAL:
        raise SchemaError("this name is kept for folds over cohorts", field="cohort", found=name, hint="choose another")
    folder = folder.resolve()
    facts: dict[str, Mapping[str, Any]] = {}
    parser = SectionParser(settings.limits)
    try:
        listing = parser.list_folder(name, folder)
        entries, faults = _trusted(folder, listing.entries, distrusted)
        faults = [*listing.faults, *faults]
        for number, entry in enumerate(entries):
            progress(f"{entry.key}", number, len(entries))
            try:
                facts[str(entry.key)] = parser.inspect(listing.layout, folder, entry)
            except CohortError as error:
                faults.extend(error.faults)
            except DataError as error:
                faults.append(error)
    finally:
        parser.close()
    progress("sections read", len(entries), len(entries))
    read = tuple(entry for entry in entries if str(entry.key) in facts)
    kinds = (*_CONTENTS, "entry")
    contents = {key: {kind: found[kind] for kind in kinds if found[kind]} for key, found in facts.items()}
    return without_doubles(
        lake, Inspection(RegisteredCohort(name, folder, listing.layout, False, read, contents), facts, faults)
    )


def without_doubles(lake: Lake, found: Inspection) -> Inspection:
    """Refuse sections that are in the lake already, by what it holds now, or twice in the folder."""
    cohort = found.cohort
    doubles = list(_doubles(cohort.entries, cohort.contents, _known_contents(lake, cohort.name)))
    refused = {section for section, _ in doubles}
    entries = tuple(entry for entry in cohort.entries if str(entry.key) not in refused)
    contents, facts = (
        {key: value for key, value in values.items() if key not in refused} for values in (cohort.contents, found.facts)
    )
    faults = [*found.faults, *(fault for _, fault in doubles)]
    return Inspection(replace(cohort, entries=entries, contents=contents), facts, faults)


def _trusted(
    folder: Path, entries: "list[SectionEntry]", distrusted: Mapping[Path, DataError]
) -> "tuple[list[SectionEntry], list[DataError]]":
    """Entries without a distrusted file, which may lie in a folder that is one file to its format, and the faults."""
    from gr2st_core.cohorts.cohort_file import COHORT_FILE
    from gr2st_core.cohorts.patients import PATIENTS_FILE

    wrong = {path.resolve(): fault for path, fault in distrusted.items()}
    if {(folder / name).resolve() for name in (COHORT_FILE, PATIENTS_FILE)} & set(wrong):
        return [], list(wrong.values())
    owners = defaultdict(list)
    for entry in entries:
        for path in {path.resolve() for path in (*entry.files.values(), *entry.annotations.values())}:
            owners[path].append(str(entry.key))
    faults: list[DataError] = []
    refused: set[str] = set()
    for path, fault in wrong.items():
        costs = sorted({key for place in (path, *path.parents) for key in owners.get(place, ())})
        refused.update(costs)
        faults.extend([type(fault)(fault.message, **{**fault.context, "section": key}) for key in costs] or [fault])
    return [entry for entry in entries if str(entry.key) not in refused], faults


def _known_contents(lake: Lake, name: str) -> dict[str, str]:
    """Sections of other cohorts, by the digest of counts or image."""
    others = [other for other in register.names(lake) if other != name]
    return {
        digest: key
        for other in others
        for key, contents in register.contents_of(lake, other).items()
        for kind, digest in contents.items()
        if kind in _CONTENTS
    }


def _doubles(
    entries: "Iterable[SectionEntry]", contents: Mapping[str, Mapping[str, str]], known: Mapping[str, str]
) -> Iterator[tuple[str, DataError]]:
    """Sections that are in the lake already, or twice in the folder.

    Of two of one patient the second is left out; of two patients both, since nobody knows whose the section is, and a
    fold that holds out one of them would train on it.
    """
    same = defaultdict(list)
    names = defaultdict(list)
    for entry in entries:
        names[str(entry.key).casefold()].append(entry)
        for kind in _CONTENTS:
            if digest := contents[str(entry.key)].get(kind):
                same[kind, digest].append(entry)
    for twins in names.values():
        for entry in twins[1:]:
            yield str(entry.key), _double(entry, "name but for upper and lower case", str(twins[0].key))
    for (kind, digest), twins in sorted(same.items()):
        if digest in known:
            refused, other = twins, known[digest]
        else:
            patients = {entry.patient_id for entry in twins}
            refused, other = (twins if len(patients) > 1 else twins[1:]), str(twins[0].key)
        for entry in refused:
            yield str(entry.key), _double(entry, kind, other if other != str(entry.key) else str(twins[1].key))


def _double(entry: "SectionEntry", kind: str, other: str) -> DataError:
    return SchemaError(
        "two sections are the same",
        section=str(entry.key),
        file=entry.files.get(kind, next(iter(entry.files.values()))),
        field=kind,
        found=f"the same {kind} as {other}",
        expected="every section once, under one patient",
        hint="remove one of them, or correct its patient",
    )
