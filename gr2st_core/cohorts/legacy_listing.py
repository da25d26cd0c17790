"""Which sections a folder of legacy Spatial Transcriptomics holds, and where their files are.

Belongs here: patients, presence and safety of files. Does not belong here: what a file is (``legacy_files``), what it
contains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.gene_names import gene_table
from gr2st_core.cohorts.legacy_files import PACKED_IMAGE, SPOTS, kind_of, section_of, walk
from gr2st_core.cohorts.listing import Listing, check_inside
from gr2st_core.cohorts.patients import LEGACY_RULE, patient_of, refuse_patient
from gr2st_core.cohorts.records import COUNTS, IMAGE, SectionEntry
from gr2st_core.cohorts.regions import REGIONS
from gr2st_core.cohorts.scale import facts_file
from gr2st_core.errors import ImageError, MissingArtifactError
from gr2st_core.keys import SectionKey

_Found = Mapping[str, list[Path]]  # files by what they are


class LegacyListing(Listing[_Found]):
    """Lists the sections that files are named by; an image without counts or spots makes no section."""

    def find(self) -> Mapping[str, _Found]:
        """Files by section and by what they are."""
        self._shared = facts_file(self.folder) | gene_table(
            [path for path in walk(self.folder) if path.parent == self.folder]
        )
        found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
        for path in walk(self.folder):
            if kind := kind_of(path):
                found[section_of(path)][kind].append(path)
        return {section: files for section, files in found.items() if set(files) & {COUNTS, SPOTS}}

    def entry(self, key: SectionKey, found: _Found, faults: Faults) -> SectionEntry | None:
        """Make the entry of a section."""
        found = {**found, **{kind: [path] for kind, path in self.labels_of(key.section_id).items()}}
        _check_presence(found, self.folder, faults)
        check_inside((path for several in found.values() for path in several), self.folder, faults)
        check_inside(self._shared.values(), self.folder, faults)
        patient = patient_of(key.section_id, self.patients, LEGACY_RULE)
        if patient is None:
            expected = "a section named like P2_ST_rep1 or BC23209_C1, or a row in the patient table"
            refuse_patient(key.section_id, self.folder, faults, expected=expected)
            return None
        files = {role: found[role][0] for role in (COUNTS, SPOTS, IMAGE) if role in found}
        annotations = {REGIONS: found[REGIONS][0]} if REGIONS in found else {}
        return SectionEntry(key, patient, {**files, **self._shared}, annotations)


def _check_presence(found: _Found, folder: Path, faults: Faults) -> None:
    names = sorted(path.name for several in found.values() for path in several)
    if SPOTS not in found:
        faults.add(
            "a section has no spot file",
            MissingArtifactError,
            file=folder,
            found=names,
            expected="a table with the columns x, y, pixel_x, pixel_y",
        )
    if not set(found) & {COUNTS, IMAGE, PACKED_IMAGE}:
        faults.add("a section has neither counts nor an image", MissingArtifactError, file=folder, found=names)
    if PACKED_IMAGE in found and IMAGE not in found:
        faults.add(
            "an image is packed",
            ImageError,
            file=found[PACKED_IMAGE][0],
            expected="an image that can be opened where it lies",
            hint=f"gunzip --keep {found[PACKED_IMAGE][0].name}",
        )
    for kind, several in sorted(found.items()):
        if len(several) > 1 and kind != PACKED_IMAGE:
            faults.add(
                "a section has two files of one kind",
                file=several[0],
                field=kind,
                found=[path.name for path in several],
                expected=f"one file of {kind}",
                hint="move the others out of the folder",
            )
