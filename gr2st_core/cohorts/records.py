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
from gr2st_core.types import Counts, FloatArray, SectionKey, StrArray

_FILES = ("counts_path", "spots_path", "image_path")


@dataclass(frozen=True, slots=True)
class SectionEntry:
    """One section as a listing finds it: who it is and where its files are.

    Attributes
    ----------
    key, patient_id
        Identity.
    counts_path, spots_path, image_path
        Raw files, or None where the section has none.
    annotations
        Further tables by kind: ``deconvolution`` (table, or the zip that holds it), ``regions`` (pathologist's labels).
    """

    key: SectionKey
    patient_id: str
    counts_path: Path | None
    spots_path: Path | None
    image_path: Path | None
    annotations: Mapping[str, Path] = field(default_factory=dict)

    def to_json(self, cohort_folder: Path) -> dict[str, Any]:
        """Describe the entry in JSON types, paths relative to ``cohort_folder``."""

        def relative(path: Path | None) -> str | None:
            return None if path is None else path.relative_to(cohort_folder).as_posix()

        return {
            "key": str(self.key),
            "patient_id": self.patient_id,
            **{name: relative(getattr(self, name)) for name in _FILES},
            "annotations": {kind: relative(path) for kind, path in sorted(self.annotations.items())},
        }

    @classmethod
    def from_json(cls, cohort_folder: Path, record: Mapping[str, Any]) -> SectionEntry:
        """Restore what ``to_json`` gave; the files must exist below ``cohort_folder``.

        Raises
        ------
        DataError
            A field is missing, or a file is gone or lies outside the folder.
        """
        if missing := {"key", "patient_id", "annotations", *_FILES} - set(record):
            raise SchemaError("a section entry lacks fields", field=sorted(missing), found=sorted(record))

        def absolute(path: str) -> Path:
            return require_inside(cohort_folder / path, cohort_folder, section=record["key"])

        files = {name: None if record[name] is None else absolute(record[name]) for name in _FILES}
        annotations = {kind: absolute(path) for kind, path in record["annotations"].items()}
        return cls(SectionKey.parse(record["key"]), record["patient_id"], **files, annotations=annotations)


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
        Integer column and row on the capture grid, as float, shape ``(n_spots, 2)``.
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
        Spots of the spot file that were left out because they have no counts.
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
        """
        ...

    def read(self, entry: SectionEntry) -> RawSection:
        """Parse one section.

        Raises
        ------
        DataError
            A ``CohortError`` where more than one fault was found.
        """
        ...
