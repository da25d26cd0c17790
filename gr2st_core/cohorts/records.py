"""What a cohort reader hands over, and what a reader is.

Belongs here: ``SectionEntry`` (listed, nothing parsed), ``RawSection`` (parsed and validated), ``CohortReader``.
Does not belong here: any folder layout, any parsing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from gr2st_core.cohorts.files import require_inside
from gr2st_core.errors import AlignmentError, DataError, SchemaError
from gr2st_core.keys import SectionKey
from gr2st_core.settings import Limits
from gr2st_core.types import Counts, FloatArray, StrArray

IMAGE, COUNTS = "image", "counts"
"""Roles of files that mean the same in every layout: a change of the one leaves what comes of the other alone."""


@dataclass(frozen=True, slots=True)
class SectionEntry:
    """One section as a listing finds it: who it is and where its files are.

    Attributes
    ----------
    key, patient_id
        Identity.
    files
        Raw files, or folders that are one file to their format (zarr), by role; a role that the section lacks is
        absent. ``image`` is the H&E image, or the file that holds it; ``counts`` holds counts and nothing that
        positions depend on; other roles are the reader's own.
    annotations
        Further tables by kind: ``deconvolution`` (table, or the zip that holds it), ``regions`` (pathologist's labels).
    """

    key: SectionKey
    patient_id: str
    files: Mapping[str, Path]
    annotations: Mapping[str, Path] = field(default_factory=dict)

    @property
    def image_path(self) -> Path | None:
        """The H&E image, or None."""
        return self.files.get(IMAGE)

    def to_json(self, cohort_folder: Path) -> dict[str, Any]:
        """Describe the entry in JSON types, paths relative to ``cohort_folder``."""

        def relative(paths: Mapping[str, Path]) -> dict[str, str]:
            return {name: path.relative_to(cohort_folder).as_posix() for name, path in sorted(paths.items())}

        return {
            "key": str(self.key),
            "patient_id": self.patient_id,
            "files": relative(self.files),
            "annotations": relative(self.annotations),
        }

    @classmethod
    def from_json(cls, cohort_folder: Path, record: Mapping[str, Any]) -> SectionEntry:
        """Restore what ``to_json`` gave; the files must exist below ``cohort_folder``.

        Raises
        ------
        DataError
            A field is missing, or a file is gone or lies outside the folder.
        """
        if missing := {"key", "patient_id", "files", "annotations"} - set(record):
            raise SchemaError("a section entry lacks fields", field=sorted(missing), found=sorted(record))

        def absolute(paths: Mapping[str, str]) -> dict[str, Path]:
            return {
                name: require_inside(cohort_folder / path, cohort_folder, section=record["key"], may_be_folder=True)
                for name, path in paths.items()
            }

        key, patient_id = SectionKey.parse(record["key"]), record["patient_id"]
        return cls(key, patient_id, absolute(record["files"]), absolute(record["annotations"]))


@dataclass(frozen=True, slots=True)
class RawSection:
    """One section as read: spots and counts joined by id, the image only located.

    Attributes
    ----------
    key, patient_id
        Identity.
    spot_ids
        Shape ``(n_spots,)``, unique; the row order of every array, that of the spot file.
    array_xy
        Column and row on the capture grid in its pitches, fractional where it is hexagonal, shape ``(n_spots, 2)``.
    pixel_xy
        Spot centres in image pixels, x right, y down, shape ``(n_spots, 2)``.
    counts
        Rows follow ``spot_ids``; None where the section was never sequenced.
    pitch_um, pitch_px
        Distance between neighbouring spot centres: the array's, and as measured in the image.
    um_per_px
        ``pitch_um / pitch_px``.
    image_path
        The H&E image, or None.
    n_spots_without_counts
        Spots that were left out because they have no counts.
    regions
        Label that a person gave each spot, shape ``(n_spots,)``, empty text where there is none; None where nobody
        labelled the section.
    notes
        What a person should be told about the section although nothing in it is wrong.
    """

    key: SectionKey
    patient_id: str
    spot_ids: StrArray
    array_xy: FloatArray
    pixel_xy: FloatArray
    counts: Counts | None
    pitch_um: float
    pitch_px: float
    um_per_px: float
    image_path: Path | None
    n_spots_without_counts: int
    regions: StrArray | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where = str(self.key)
        n_spots = len(self.spot_ids)
        if len(set(self.spot_ids.tolist())) != n_spots:
            raise SchemaError("spot ids are unique within a section", section=where)
        for name in ("array_xy", "pixel_xy"):
            array = getattr(self, name)
            if array.shape != (n_spots, 2) or not np.isfinite(array).all():
                raise AlignmentError(f"{name} is finite, (n_spots, 2)", section=where, found=array.shape)
        if self.counts is not None and self.counts.matrix.shape[0] != n_spots:
            raise AlignmentError(
                "one count row per spot", section=where, expected=n_spots, found=self.counts.matrix.shape[0]
            )
        if self.regions is not None and self.regions.shape != (n_spots,):
            raise AlignmentError("one region label per spot", section=where, found=self.regions.shape)
        for name in ("pitch_um", "pitch_px", "um_per_px"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise SchemaError("a distance is positive and finite", section=where, field=name, found=value)


class CohortReader(Protocol):
    """Reads cohort folders of one layout.

    Attributes
    ----------
    layout
        Name of the layout.
    expects
        The files by which it is known, for messages.
    """

    layout: ClassVar[str]
    expects: ClassVar[str]

    def recognises(self, folder: Path) -> bool:
        """Tell whether ``folder`` is laid out as this reader expects."""
        ...

    def entries(self, name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
        """List the sections of cohort ``name``, sorted by key, and every fault that a listing can see.

        A section with a fault is left out; the others are listed all the same.

        Raises
        ------
        SchemaError
            If ``name`` cannot name a cohort.
        """
        ...

    def read(self, entry: SectionEntry, limits: Limits = ...) -> RawSection:
        """Parse one section, within ``limits``.

        Raises
        ------
        DataError
            A ``CohortError`` where more than one fault was found.
        """
        ...
