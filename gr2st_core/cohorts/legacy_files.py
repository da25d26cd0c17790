"""What the files of a legacy Spatial Transcriptomics folder are, and which section each belongs to.

Belongs here: telling tables apart by their first lines, taking the section out of a file's name. Does not belong here:
whether a section is complete (``legacy_listing``), parsing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from gr2st_core.cohorts.count_table import SPOT_KEY, spots_in_columns
from gr2st_core.cohorts.given_spots import is_given_header
from gr2st_core.cohorts.legacy_spots import is_spot_header
from gr2st_core.cohorts.records import COUNTS, IMAGE
from gr2st_core.cohorts.regions import REGIONS
from gr2st_core.cohorts.table_stream import first_lines

SPOTS = "spots"
PACKED_IMAGE = "packed image"

_MAX_DEPTH = 3  # He et al. sort their files by subtype and patient
_MAX_FILES = 20_000
_TABLES = (".tsv", ".txt", ".csv")
_IMAGES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
_ACCESSION = re.compile(r"GSM[0-9]+_")
_BEFORE = ("spot_data-selection-", "spots_", "HE_")
_AFTER = {
    "_stdata": COUNTS,
    "_counts": None,  # also what analyses of other technologies call theirs
    ".spots": SPOTS,
    "_selection": SPOTS,
    "_Coords": REGIONS,
    "_labeled_coordinates": REGIONS,
}


def walk(folder: Path) -> Iterator[Path]:
    """Yield the regular files of a folder and its sub-folders, sorted within each; links to folders are not followed.

    Folders of labels and hidden ones are left out, and so is a packed file beside its unpacked copy.
    """
    left = _MAX_FILES
    for root, folders, names in os.walk(folder):
        depth = len(Path(root).relative_to(folder).parts)
        hidden = {name for name in folders if name.startswith((".", "__")) or name == REGIONS}
        folders[:] = sorted(set(folders) - hidden) if depth < _MAX_DEPTH else []
        beside = set(names)
        for name in sorted(names):
            left -= 1
            path = Path(root, name)
            if left < 0:
                return
            is_copy = name.endswith(".gz") and name.removesuffix(".gz") in beside
            if os.path.isfile(path) and not name.startswith(".") and not is_copy:  # noqa: PTH113 never raises
                yield path


def kind_of(path: Path) -> str | None:
    """Tell what a file is: counts, spots, labels, an image, a packed image, or none of these.

    What a table holds decides; where it cannot be read or says nothing, its name does.
    """
    bare = path.name.removesuffix(".gz").lower()
    if bare.endswith(_IMAGES):
        return PACKED_IMAGE if path.suffix == ".gz" else IMAGE
    if not bare.endswith(_TABLES):
        return None
    if is_given_header(first_lines(path)[0]):
        return None  # coordinates for a slide without counts
    return _kind_by_content(path) or _kind_by_name(path)


def section_of(path: Path) -> str:
    """Take the section out of a file's name: ``P2_ST_rep1`` of ``GSM4284316_P2_ST_rep1_stdata.tsv.gz``."""
    stem = Path(path.name.removesuffix(".gz")).stem
    stem = stem[match.end() :] if (match := _ACCESSION.match(stem)) else stem
    for text in _BEFORE:
        stem = stem.removeprefix(text)
    for text in _AFTER:
        stem = stem.removesuffix(text)
    return stem


def _kind_by_content(path: Path) -> str | None:
    header, row = first_lines(path)
    if is_spot_header(header):
        return SPOTS
    columns, key = header.split("\t"), row.partition("\t")[0]
    holds_keys = SPOT_KEY.fullmatch(key) or spots_in_columns(columns, key) or spots_in_columns(columns[1:], key)
    is_labels = "label" in columns or _kind_by_name(path) == REGIONS
    return COUNTS if holds_keys and "\t" in header and not is_labels else None


def _kind_by_name(path: Path) -> str | None:
    stem = Path(path.name.removesuffix(".gz")).stem
    stem = stem[match.end() :] if (match := _ACCESSION.match(stem)) else stem
    if stem.startswith(_BEFORE[:2]):
        return SPOTS
    return next((kind for text, kind in _AFTER.items() if stem.endswith(text)), None)
