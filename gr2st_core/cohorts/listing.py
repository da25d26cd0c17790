"""How the sections of a cohort folder are listed, whatever its layout.

Belongs here: patient table, cohort file and labels, section after section with its own faults. Does not belong here:
which files make a section (the listing of each layout), what files contain.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from gr2st_core.cohorts.cohort_file import COHORT_FILE, read_cohort_file
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import require_inside
from gr2st_core.cohorts.patients import PATIENTS_FILE, read_patients
from gr2st_core.cohorts.records import SectionEntry
from gr2st_core.cohorts.regions import REGIONS, region_files
from gr2st_core.errors import DataError, MissingArtifactError
from gr2st_core.keys import SectionKey

Found = TypeVar("Found")


class Listing(ABC, Generic[Found]):
    """Lists one cohort folder of one layout.

    Attributes
    ----------
    reads
        Fields of the cohort file that this layout goes by; others are faults, for who wrote them expects an effect.
    cohort, folder
        Name of the cohort and where it lies.
    faults
        Of the folder, and in the end those of its sections too.
    patients
        Patient of each section that ``patients.tsv`` names.
    stated
        The cohort file.

    Raises
    ------
    SchemaError
        If ``cohort`` cannot name a cohort.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"pitch_um", "um_per_px"})

    def __init__(self, cohort: str, folder: Path) -> None:
        SectionKey(cohort, "any")
        self.cohort, self.folder = cohort, folder
        self.faults = Faults(cohort=cohort)
        self.patients = read_patients(folder, self.faults)
        self.stated = read_cohort_file(folder, self.faults)
        if unused := {
            name: value for name, value in self.stated.model_dump(exclude_none=True).items() if name not in self.reads
        }:
            self.faults.add(
                "a cohort file states what this layout takes from elsewhere",
                file=folder / COHORT_FILE,
                field=", ".join(unused),
                found=unused,
                expected=sorted(self.reads),
                hint="remove it: the sections' own files say it, or have no use for it",
            )
        self._labels = region_files(folder)

    @abstractmethod
    def find(self) -> Mapping[str, Found]:
        """Find what may be sections, by name; faults of the folder go to ``faults``."""

    @abstractmethod
    def entry(self, key: SectionKey, found: Found, faults: Faults) -> SectionEntry | None:
        """Make the entry of a section; whatever is wrong with it goes to ``faults`` or is raised."""

    def listed(self) -> tuple[list[SectionEntry], list[DataError]]:
        """Give the sections without a fault, sorted by key, and all faults.

        If the patient table or the cohort file is damaged none is listed, for its patient or scale would be a guess.
        """
        if len(self.faults):
            return [], self.faults.found
        found = self.find()
        if unknown := sorted(set(self.patients) - set(found)):
            self.faults.add(
                "the patient table names sections that the folder does not hold",
                file=self.folder / PATIENTS_FILE,
                field="section_id",
                found=unknown[:10],
                expected=sorted(found)[:10],
            )
        entries = []
        for section in sorted(found):
            own = Faults(section=f"{self.cohort}/{section}")
            entry = self._entry_or_faults(section, found[section], own)
            self.faults.found.extend(own.found)
            if entry is not None and not len(own):
                entries.append(entry)
        return sorted(entries, key=lambda entry: entry.key), self.faults.found

    def labels_of(self, section: str) -> dict[str, Path]:
        """Annotation of a section by kind: its label file, if it has one."""
        return {REGIONS: self._labels[section]} if section in self._labels else {}

    def _entry_or_faults(self, section: str, found: Found, faults: Faults) -> SectionEntry | None:
        try:
            key = SectionKey(self.cohort, section)
        except DataError as error:
            faults.add(
                "a section has an unusable name", file=self.folder, found=repr(section), expected=error.message,
                hint="rename its files",
            )  # fmt: skip
            return None
        try:
            return self.entry(key, found, faults)
        except DataError as error:
            faults.take(error)
        except Exception as error:  # noqa: BLE001 whatever a damaged file raises inside a library is its section's fault
            faults.add(
                "the section's files cannot be listed", DataError, file=self.folder,
                found=f"{type(error).__name__}: {error}"[:500], hint="fetch the files again",
            )  # fmt: skip
        return None


def check_inside(paths: Iterable[Path], folder: Path, faults: Faults, *, may_be_folders: bool = False) -> None:
    """Note which of a section's files may not be read (``files.require_inside``)."""
    for path in paths:
        try:
            require_inside(path, folder, may_be_folder=may_be_folders)
        except DataError as error:
            faults.take(error)


def check_one(what: str, paths: Sequence[Path], faults: Faults, *, file: Path) -> None:
    """Note that a section has no file of a kind (``file`` says where it should be), or several."""
    if not paths:
        faults.add(f"a section has no {what}", MissingArtifactError, file=file, expected=f"one {what}")
    elif len(paths) > 1:
        faults.add(
            f"a section has more than one {what}",
            file=paths[0].parent,
            found=[path.name for path in paths],
            expected=f"one {what}",
            hint="move the others out of the folder",
        )
