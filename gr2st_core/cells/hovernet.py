"""Cell types from nuclei that HoVer-Net found in the image.

Belongs here: the importer of its QuPath exports. Does not belong here: segmenting nuclei.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gr2st_core.cells.classes import CLASSES
from gr2st_core.cells.tables import read_table_text
from gr2st_core.errors import AlignmentError, MissingArtifactError, SchemaError
from gr2st_core.types import CellTypes, StrArray


def read_hovernet(path: Path, spot_ids: StrArray) -> CellTypes:
    """Read the classes of the nuclei around each spot.

    Parameters
    ----------
    path
        A folder with one table ``<spot_id>.tsv`` per spot, one row per nucleus, its class in the column ``name``; or
        one such table with the columns ``spot_id`` and ``name``. Tab separated; other columns and spots are ignored.
    spot_ids
        Rows of the result, shape ``(n_spots,)``.

    Returns
    -------
    Share of each of ``CLASSES`` among a spot's nuclei; NaN for a spot without nuclei (a table with a header only, no
    row in the one table). ``source`` is ``image``.

    Raises
    ------
    MissingArtifactError
        Spots without a table, or no such file.
    SchemaError
        A column is missing, a class is unknown, or a file is damaged.
    AlignmentError
        The one table has nuclei, but of none of these spots.
    """
    nuclei = _nuclei_by_file(path, spot_ids) if path.is_dir() else _nuclei_in_table(path, spot_ids)
    counts = np.array([[nuclei[spot][name] for name in CLASSES] for spot in spot_ids.tolist()], dtype=np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    return CellTypes(CLASSES, shares, source="image", method="hovernet")


def _nuclei_by_file(folder: Path, spot_ids: StrArray) -> dict[str, Counter[str]]:
    # Looked up among the folder's own files, so that no spot id can name a file elsewhere.
    files = {file.stem: file for file in folder.glob("*.tsv")}
    if missing := [spot for spot in spot_ids.tolist() if spot not in files]:
        raise MissingArtifactError("spots without a table of nuclei", file=folder, n=len(missing), found=missing[:10])
    return {spot: Counter(name for (name,) in _rows(files[spot], ("name",))) for spot in spot_ids.tolist()}


def _nuclei_in_table(path: Path, spot_ids: StrArray) -> dict[str, Counter[str]]:
    nuclei: dict[str, Counter[str]] = {spot: Counter() for spot in spot_ids.tolist()}
    rows = _rows(path, ("spot_id", "name"))
    for spot, name in rows:
        if spot in nuclei:
            nuclei[spot][name] += 1
    if rows and not any(nuclei.values()):
        raise AlignmentError("no nucleus belongs to a spot of the section", file=path, found=rows[0][0])
    return nuclei


def _rows(path: Path, columns: Sequence[str]) -> list[tuple[str, ...]]:
    reader = csv.DictReader(io.StringIO(read_table_text(path, member=path.name)), delimiter="\t", strict=True)
    try:
        if absent := [column for column in columns if column not in (reader.fieldnames or ())]:
            raise SchemaError("a table of nuclei lacks columns", file=path, field=absent, found=reader.fieldnames)
        rows = [tuple(row[column] for column in columns) for row in reader]
    except csv.Error as error:
        raise SchemaError("not a tab-separated table", file=path, found=str(error)) from error
    if unknown := sorted({str(row[-1]) for row in rows} - set(CLASSES)):
        raise SchemaError("unknown class of nuclei", file=path, field="name", found=unknown[:10], expected=CLASSES)
    return rows
