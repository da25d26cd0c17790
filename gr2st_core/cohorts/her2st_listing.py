"""Which sections a folder of the her2st layout holds, and where their files are.

Belongs here: names, patients, presence and safety of files. Does not belong here: what the files contain, but for
the names in the deconvolution archive and the patient table.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import require_inside
from gr2st_core.cohorts.listing import Listing, check_inside, check_one
from gr2st_core.cohorts.patients import HER2ST_RULE, patient_of, refuse_patient
from gr2st_core.cohorts.records import SectionEntry
from gr2st_core.cohorts.regions import REGIONS
from gr2st_core.cohorts.scale import facts_file
from gr2st_core.errors import DataError, MissingArtifactError
from gr2st_core.keys import SectionKey

COUNTS_FOLDER = "data/ST-cnts"
SPOTS_FOLDER = "data/ST-spotfiles"
IMAGES_FOLDER = "data/ST-imgs"
LABELS_FOLDER = "data/ST-pat/lbl"
PROPORTIONS_FOLDER = "res/ST-deconv/props"
COUNTS_SUFFIX = ".tsv.gz"
SPOTS_SUFFIX = "_selection.tsv"
LABELS_SUFFIX = "_labeled_coordinates.tsv"

_DAMAGED_ZIP = (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, struct.error)
_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}


@dataclass(frozen=True, slots=True)
class _Found:
    """Files of one section as their names say, nothing checked."""

    section: str
    counts: Path | None
    spots: Path | None
    images: list[Path]
    annotations: Mapping[str, Path]

    @property
    def files(self) -> list[Path]:
        return [path for path in (self.counts, self.spots, *self.images) if path is not None]


class Her2stListing(Listing[_Found]):
    """Lists the sections of which there is a count table, a spot file or an image.

    The patient of a section is the letter of its name (``B`` for ``B4``) unless ``patients.tsv`` says otherwise.
    """

    def find(self) -> Mapping[str, _Found]:
        """Files by section, each kind in its own folder."""
        counts = _by_section(self.folder / COUNTS_FOLDER, COUNTS_SUFFIX)
        spots = _by_section(self.folder / SPOTS_FOLDER, SPOTS_SUFFIX)
        images = _images(self.folder / IMAGES_FOLDER)
        labels = _by_section(self.folder / LABELS_FOLDER, LABELS_SUFFIX)
        proportions = _proportions(self.folder / PROPORTIONS_FOLDER, self.folder, self.faults)
        return {
            section: _Found(
                section=section,
                counts=counts.get(section),
                spots=spots.get(section),
                images=images.get(section, []),
                annotations={
                    **({"deconvolution": proportions[section]} if section in proportions else {}),
                    **({REGIONS: labels[section]} if section in labels else {}),
                    **self.labels_of(section),
                },
            )
            for section in {*counts, *spots, *images}
        }

    def entry(self, key: SectionKey, found: _Found, faults: Faults) -> SectionEntry | None:
        """Make the entry of a section."""
        _check_presence(found, self.folder, faults)
        check_inside((*found.files, *found.annotations.values()), self.folder, faults)
        patient = patient_of(key.section_id, self.patients, HER2ST_RULE)
        if patient is None:
            expected = "a section named by one capital letter and a number, or a row in the patient table"
            refuse_patient(key.section_id, self.folder, faults, expected=expected)
            return None
        parts = {"counts": found.counts, "spots": found.spots, "image": next(iter(found.images), None)}
        files = {role: path for role, path in parts.items() if path} | facts_file(self.folder)
        return SectionEntry(key, patient, files, found.annotations)


def _check_presence(found: _Found, folder: Path, faults: Faults) -> None:
    if found.spots is None:
        faults.add(
            "a section has no spot file",
            MissingArtifactError,
            file=folder / SPOTS_FOLDER / f"{found.section}{SPOTS_SUFFIX}",
            found=[path.name for path in found.files],
        )
    if found.counts is None and not found.images:
        faults.add(
            "a section has neither counts nor an image",
            MissingArtifactError,
            file=folder / COUNTS_FOLDER / f"{found.section}{COUNTS_SUFFIX}",
            found=[path.name for path in found.files],
        )
    if found.images:
        check_one("image", found.images, faults, file=found.images[0])


def _by_section(folder: Path, suffix: str) -> dict[str, Path]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name.removesuffix(suffix): path for path in files if path.name.endswith(suffix)}


def _images(folder: Path) -> dict[str, list[Path]]:
    images: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*/*/*")):
        if path.suffix.lower() in _IMAGE_SUFFIXES:
            images.setdefault(path.parent.name, []).append(path)
    return images


def _proportions(folder: Path, cohort_folder: Path, faults: Faults) -> dict[str, Path]:
    """Deconvolution table by section: a file of its own, or the archive that holds one."""
    suffix = "-proportion.tsv"
    archive = folder / "major.zip"
    packed: dict[str, Path] = {}
    if archive.exists():
        try:
            with zipfile.ZipFile(require_inside(archive, cohort_folder)) as opened:
                members = [Path(name).name for name in opened.namelist() if name.endswith(suffix)]
            packed = {name.removesuffix(suffix): archive for name in members}
        except _DAMAGED_ZIP as error:
            faults.add("a zip file is truncated or damaged", file=archive, found=str(error), hint="fetch it again")
        except DataError as error:
            faults.found.append(error)
    return {**packed, **_by_section(folder / "major", suffix)}
