"""One row of a count table: a name and integers between tabs.

Belongs here: parsing a row fast, and saying exactly what is wrong with one that is no row of counts. Does not belong
here: which axis spots lie on, tables (``count_table``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gr2st_core.cohorts.faults import Faults

_MAX_COUNT = np.iinfo(np.int32).max


def parse_counts(text: bytes, n_columns: int) -> NDArray[np.int64] | None:
    """Read the counts of a row, or None unless it is ``n_columns`` unsigned integers between single tabs."""
    well_formed = (
        text.count(b"\t") == n_columns - 1
        and not text.translate(None, b"0123456789\t")
        and b"\t\t" not in b"\t" + text + b"\t"
    )
    if not well_formed:
        return None
    counts: NDArray[np.int64] = np.fromstring(text, dtype=np.int64, sep="\t")
    return None if counts.max() > _MAX_COUNT else counts


def add_row_fault(
    text: bytes, columns: Sequence[str], faults: Faults, path: Path, *, label: str, row: str | None, axis: str
) -> None:
    """Name the first fault of a row that ``parse_counts`` refused.

    Parameters
    ----------
    columns
        Names of the columns.
    label
        Where the row is, e.g. ``line 7``.
    row
        Gene of the row where rows are genes.
    axis
        What ``columns`` are: ``gene`` or ``spot``.
    """
    fields = text.decode("utf-8", errors="backslashreplace").split("\t")
    if len(fields) != len(columns):
        faults.add(
            "a row is longer or shorter than the header",
            file=path,
            field=label,
            found=f"{len(fields)} counts",
            expected=f"{len(columns)} counts",
        )
        return
    cells = zip(columns, fields, strict=True)
    column, value, fault = next((column, value, fault) for column, value in cells if (fault := _fault_of(value)))
    faults.add(
        fault,
        file=path,
        field=label,
        gene=column if axis == "gene" else row,
        spot=column if axis == "spot" else None,
        found=repr(value[:40]),
        expected=f"an integer from 0 to {_MAX_COUNT}",
        hint="give the molecule counts as they were before normalisation, one number in every cell",
    )


def _fault_of(text: str) -> str | None:
    """Say why ``text`` is no count, or None if it is one."""
    if text.isascii() and text.isdigit():
        return None if int(text.lstrip("0")[:11] or "0") <= _MAX_COUNT else "a count is too large"
    try:
        value = float(text)
    except ValueError:
        return "a count is missing" if not text.strip() else "a count is not a number"
    if not np.isfinite(value):
        return "a count is not finite"
    return "a count is negative" if value < 0 else "a count is not an integer"
