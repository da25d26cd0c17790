"""Small tables with a known header.

Belongs here: decoding, header and row lengths. Does not belong here: what the fields mean; count tables, which are
too wide for this (``count_table``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from gr2st_core.cohorts.faults import MAX_PER_TABLE, Faults
from gr2st_core.cohorts.table_stream import table_lines

MAX_BYTES = 2**26
"""Unpacked size of a small table, at most."""

Row = tuple[str, list[str]]  # label such as "line 7", fields


def read_rows(
    path: Path, columns: Sequence[str], faults: Faults, *, delimiter: str = "\t", max_bytes: int = MAX_BYTES
) -> Iterator[Row]:
    """Yield a label (``line 7``) and the fields, in the order of ``columns``, of every sound row.

    The file's columns may come in any order, but they must be these and no others. What is wrong is added to
    ``faults``; the table is not read on after ``MAX_PER_TABLE`` of them.
    """
    header, rows = read_table(path, faults, delimiter=delimiter, max_bytes=max_bytes)
    if not header:
        return
    if sorted(header) != sorted(columns):
        faults.add(
            "the columns of a table are not the expected ones",
            file=path,
            field="header",
            found=header[:20],
            expected=list(columns),
            hint=f"missing {sorted(set(columns) - set(header))}, unknown {sorted(set(header) - set(columns))[:10]}",
        )
        return
    order = [header.index(column) for column in columns]
    for label, fields in rows:
        yield label, [fields[index] for index in order]


def read_table(
    path: Path,
    faults: Faults,
    *,
    delimiter: str = "\t",
    quote: str | None = None,
    row_names: bool = False,
    max_bytes: int = MAX_BYTES,
) -> tuple[list[str], Iterator[Row]]:
    """Read the header of a table, and give its sound rows as an iterator.

    Parameters
    ----------
    quote
        Sign that may stand around a field and is no part of it; such fields must not hold the delimiter.
    row_names
        Whether the header may lack the name of the first column, as R writes tables whose rows have names.

    Returns
    -------
    Fields of the header, none where the table has a fault that ends it; labels and fields of the rows.
    """
    lines = _lines(path, faults, max_bytes)
    if not lines:
        return [], iter(())
    if quote:
        lines = [line.replace(quote, "") for line in lines]
    header = lines[0].split(delimiter)
    if row_names and len(lines[1].split(delimiter)) == len(header) + 1:
        header = ["", *header]
    return header, _rows(lines[1:], len(header), delimiter, path, faults)


def _rows(lines: Sequence[str], n_fields: int, delimiter: str, path: Path, faults: Faults) -> Iterator[Row]:
    faults_before = len(faults)
    for number, line in enumerate(lines, start=2):
        fields = line.split(delimiter)
        if len(fields) == n_fields:
            yield f"line {number}", fields
        else:
            faults.add(
                "a row is longer or shorter than the header",
                file=path,
                field=f"line {number}",
                found=f"{len(fields)} fields",
                expected=f"{n_fields} fields",
            )
        if len(faults) - faults_before >= MAX_PER_TABLE:
            return


def _lines(path: Path, faults: Faults, max_bytes: int) -> list[str]:
    faults_before = len(faults)
    content = b"\n".join(table_lines(path, faults, max_bytes=max_bytes))
    if len(faults) > faults_before:
        return []
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        faults.add(
            "a table is not UTF-8 text", file=path, found=f"byte {error.start}: {error.reason}", expected="UTF-8"
        )
        return []
    if len(lines) < 2:
        faults.add("a table is empty", file=path, found=f"{len(lines)} lines", expected="a header and at least one row")
        return []
    return lines
