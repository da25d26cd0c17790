"""What a cohort folder must pass before its sections are registered.

Belongs here: reading every section completely in the parsing process, and faults that only show across sections. Does
not belong here: parsing (``gr2st_core.cohorts``), what is remembered (``register``).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
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
        Files known to be wrong, with what is: they cost the sections they belong to.

    Raises
    ------
    DataError
        If the folder has no known layout.
    """
    from gr2st_core.cohorts.registry import find_reader
    from gr2st_core.training.folds import EXTERNAL

    if name == EXTERNAL:
        raise SchemaError("this name is kept for folds over cohorts", field="cohort", found=name, hint="choose another")
    folder = folder.resolve()
    reader = find_reader(folder)
    listed, faults = reader.entries(name, folder)
    entries = [entry for entry in listed if not (_files(entry) & set(distrusted))]
    faults.extend(distrusted.values())
    facts: dict[str, Mapping[str, Any]] = {}
    parser = SectionParser(settings.limits)
    try:
        for number, entry in enumerate(entries):
            progress(f"{entry.key}", number, len(entries))
            try:
                facts[str(entry.key)] = parser.inspect(reader.layout, folder, entry)
            except CohortError as error:
                faults.extend(error.faults)
            except DataError as error:
                faults.append(error)
    finally:
        parser.close()
    progress("sections read", len(entries), len(entries))
    read = [entry for entry in entries if str(entry.key) in facts]
    for section, fault in _doubles(read, facts, _known_contents(lake, name)):
        faults.append(fault)
        facts.pop(section, None)
    good = tuple(entry for entry in read if str(entry.key) in facts)
    contents = {key: {kind: found[kind] for kind in _CONTENTS if found[kind]} for key, found in facts.items()}
    return Inspection(RegisteredCohort(name, folder, reader.layout, False, good, contents), facts, faults)


def _files(entry: "SectionEntry") -> set[Path]:
    return {*entry.files.values(), *entry.annotations.values()}


def _known_contents(lake: Lake, name: str) -> dict[str, str]:
    """Sections of other cohorts, by the digest of counts or image."""
    others = [other for other in register.names(lake) if other != name]
    return {
        digest: key
        for other in others
        for key, contents in register.contents_of(lake, other).items()
        for digest in contents.values()
    }


def _doubles(
    entries: "Iterable[SectionEntry]", facts: Mapping[str, Mapping[str, Any]], known: Mapping[str, str]
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
            if digest := facts[str(entry.key)][kind]:
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
