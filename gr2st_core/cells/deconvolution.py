"""Cell types from a published deconvolution of the counts.

Belongs here: the importer of proportion tables and how their cell types map to the common classes. Does not belong
here: deconvolving counts.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from gr2st_core.cells.classes import CLASSES
from gr2st_core.cells.tables import read_table_text
from gr2st_core.errors import AlignmentError, SchemaError
from gr2st_core.types import CellTypes, StrArray

CLASS_OF_TYPE: Mapping[str, str] = MappingProxyType(
    {
        "epithelial": "neopla",  # tables that do not tell tumour from normal epithelium: in a tumour most is tumour
        "cancerepithelial": "neopla",
        "normalepithelial": "no-neo",
        "bcells": "inflam",
        "tcells": "inflam",
        "plasmacells": "inflam",
        "plasmablasts": "inflam",
        "myeloid": "inflam",
        "cafs": "connec",
        "endothelial": "connec",
        "pvl": "connec",
    }
)
"""Common class of each major cell type of the breast atlases; keys are lower case without signs or blanks."""


def read_deconvolution(path: Path, section_id: str, spot_ids: StrArray) -> CellTypes:
    """Read the cell-type proportions of one section.

    Parameters
    ----------
    path
        A table (tab separated, first column spot ids, one column per cell type, rows that sum to 1), or a zip archive
        that holds it as ``<section_id>-proportion.tsv``.
    spot_ids
        Rows of the result, shape ``(n_spots,)``.

    Returns
    -------
    Proportions over ``CLASSES``; NaN for spots that the table leaves out (authors may filter shallow ones).
    ``source`` is ``expression``: for training sections only.

    Raises
    ------
    MissingArtifactError
        No such file or no table of the section in it.
    SchemaError
        Damaged file, unknown cell type, doubled spot, or rows that are not proportions.
    AlignmentError
        Spots that the section does not have.
    """
    where = {"file": path, "section": section_id}
    table = _parse(read_table_text(path, member=f"{section_id}-proportion.tsv"), where)
    if unknown := sorted(set(table.index) - set(spot_ids.tolist())):
        raise AlignmentError(
            "deconvolution of spots that the section lacks", **where, found=unknown[:10], n=len(unknown)
        )
    classes = [_class_of(column, where) for column in table.columns]
    shares = table.T.groupby(classes).sum().T.reindex(columns=list(CLASSES), fill_value=0.0)
    shares = shares.div(shares.sum(axis=1), axis=0).reindex(spot_ids)
    return CellTypes(CLASSES, shares.to_numpy(np.float64), source="expression", method="deconvolution")


def _parse(text: str, where: Mapping[str, object]) -> pd.DataFrame:
    try:
        table = pd.read_csv(io.StringIO(text), sep="\t", index_col=0).astype(np.float64)
    except (ValueError, pd.errors.ParserError) as error:
        raise SchemaError("not a table of numbers with spot ids first", **where, found=str(error)) from error
    if table.empty:
        raise SchemaError("no proportions", **where)
    if doubled := table.index[table.index.duplicated()].tolist():
        raise SchemaError("a spot has one row of proportions", **where, found=doubled[:10])
    shares = table.to_numpy()
    # NaN fails both comparisons.
    sound = (shares >= 0).all(axis=1) & (np.abs(shares.sum(axis=1) - 1) < 1e-3)
    if not sound.all():
        raise SchemaError(
            "proportions are at least 0 and sum to 1",
            **where,
            n=int((~sound).sum()),
            found=table.index[~sound].tolist()[:10],
        )
    return table


def _class_of(column: str, where: Mapping[str, object]) -> str:
    key = re.sub(r"[^a-z0-9]", "", column.lower())
    if key not in CLASS_OF_TYPE:
        raise SchemaError("unknown cell type", **where, field=column, expected=sorted(CLASS_OF_TYPE))
    return CLASS_OF_TYPE[key]
