"""Region labels: what a person wrote on a spot, or drew around it.

Belongs here: finding label files, tables of labels, the join to spots. Does not belong here: drawn polygons
(``region_shapes``), what labels are used for.

::

    regions/<section>.tsv       spot_id label
    regions/<section>.geojson   polygons in image pixels, as QuPath exports them
    <as the layout says>.tsv    x y label: grid positions, rounded; rows without them are left out
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.records import SectionEntry
from gr2st_core.cohorts.region_shapes import read_shapes
from gr2st_core.cohorts.spot_table import SpotTable
from gr2st_core.cohorts.text_table import Row, read_table
from gr2st_core.errors import AlignmentError
from gr2st_core.types import FloatArray, StrArray

REGIONS = "regions"
"""Kind of annotation of a section entry, and folder of label files in any layout."""

_SUFFIXES = (".tsv", ".geojson")
_MISSING = {"", "NA", "nan", "NaN"}
_LONGEST = 200
_LEAST_MATCHED = 0.5  # share of labelled spots that must exist; labels of left-out spots are no fault

_Labels = list[tuple[str, str, str]]  # line, spot id, label


def region_files(folder: Path) -> dict[str, Path]:
    """Find the label file of each section in ``folder/regions``."""
    found = folder / REGIONS
    paths = sorted(found.iterdir()) if found.is_dir() else []
    by_suffix = [path for suffix in _SUFFIXES for path in paths if path.name.endswith(suffix)]
    return {path.name.removesuffix(path.suffix): path for path in by_suffix}


def regions_of(entry: SectionEntry, spots: SpotTable, faults: Faults) -> StrArray | None:
    """Read the labels of a section's spots; None where nobody labelled it."""
    if REGIONS not in entry.annotations:
        return None
    return read_regions(entry.annotations[REGIONS], spots.spot_ids, spots.array_xy, spots.pixel_xy, faults)


def read_regions(
    path: Path, spot_ids: StrArray, array_xy: FloatArray, pixel_xy: FloatArray, faults: Faults
) -> StrArray:
    """Give each spot its label, empty text where it has none.

    Parameters
    ----------
    spot_ids, array_xy, pixel_xy
        Spots in rows; grid positions are whole numbers, pixels those of the section's image.
    faults
        Gets every fault; when it has got none the labels are sound.

    Returns
    -------
    Shape ``(n_spots,)``.
    """
    both = [path.with_suffix(suffix) for suffix in _SUFFIXES]
    if path.parent.name == REGIONS and all(other.exists() for other in both):
        faults.add(
            "a section has two label files",
            file=path,
            found=[other.name for other in both],
            expected="a table or drawn regions",
            hint="move one of them out of the folder",
        )
    if path.suffix == ".geojson":
        return read_shapes(path, pixel_xy, faults)
    header, rows = read_table(path, faults, row_names=True)
    if not header:
        return np.full(len(spot_ids), "", dtype=np.str_)
    columns = _columns(header)
    if columns is None:
        faults.add(
            "the columns of a table are not the expected ones",
            file=path,
            field="header",
            found=header[:20],
            expected="spot_id and label, or x, y and label",
        )
        return np.full(len(spot_ids), "", dtype=np.str_)
    if len(columns) == 2:
        return _joined(_by_id(rows, columns), spot_ids.tolist(), path, faults)
    grid = [f"{x:.0f}x{y:.0f}" for x, y in array_xy]
    return _joined(_by_position(rows, columns, path, faults), grid, path, faults)


def _columns(header: list[str]) -> list[int] | None:
    """Where spot id and label stand, or x, y and label; None in a table that has neither.

    The tables of He et al. 2020 are read by position, as their own code does: x, y in the second and third column, the
    label in the fifth and last.
    """
    for names in (("spot_id", "label"), ("x", "y", "label")):
        if set(names) <= set(header):
            return [header.index(name) for name in names]
    return [1, 2, 4] if len(header) == 5 else None


def _by_id(rows: Iterable[Row], columns: list[int]) -> _Labels:
    spot, label = columns
    return [(line, fields[spot], fields[label]) for line, fields in rows]


def _by_position(rows: Iterable[Row], columns: list[int], path: Path, faults: Faults) -> _Labels:
    labels = []
    for line, fields in rows:
        x, y, label = (fields[index] for index in columns)
        if x in _MISSING or y in _MISSING:
            continue
        try:
            labels.append((line, f"{round(float(x))}x{round(float(y))}", label))
        except (ValueError, OverflowError):
            faults.add("a coordinate is not a number", file=path, field=line, found=[x, y], expected="numbers")
    return labels


def _joined(labels: _Labels, spots: list[str], path: Path, faults: Faults) -> StrArray:
    label_of: dict[str, str] = {}
    for line, spot, label in labels:
        name = "" if label in _MISSING else label.strip()
        if not name.isprintable() or len(name) > _LONGEST:
            faults.add(
                "a region label is unusable",
                file=path,
                field=line,
                found=repr(name[:40]),
                expected=f"at most {_LONGEST} printable characters",
            )
        elif label_of.setdefault(spot, name) != name:
            faults.add(
                "a spot has two labels",
                file=path,
                field=line,
                found=[spot, label_of[spot], name],
                expected="one label a spot",
            )
    strangers = sorted(set(label_of) - set(spots))
    if len(strangers) > _LEAST_MATCHED * len(label_of):
        faults.add(
            "most labelled spots do not exist",
            AlignmentError,
            file=path,
            field="spot",
            found=strangers[:10],
            expected="spots of the section",
            hint=f"{len(strangers)} of {len(label_of)} are unknown: is this file another section's?",
        )
    return np.array([label_of.get(spot, "") for spot in spots], dtype=np.str_)
