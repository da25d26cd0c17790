"""Small tab-separated tables with a known header.

Belongs here: decoding, header and row lengths. Does not belong here: what the fields mean; count tables, which are
too wide for this (``count_table``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from gr2st_core.cohorts.faults import MAX_PER_TABLE, Faults


def read_rows(
    path: Path, columns: Sequence[str], faults: Faults, *, max_bytes: int = 2**26
) -> Iterator[tuple[str, list[str]]]:
    """Yield a label (``line 7``) and the fields, in the order of ``columns``, of every sound row.

    The file's columns may come in any order, but they must be these and no others. What is wrong is added to
    ``faults``; the table is not read on after ``MAX_PER_TABLE`` of them.
    """
    lines = _lines(path, faults, max_bytes)
    if not lines:
        return
    header = lines[0].split("\t")
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
    faults_before = len(faults)
    for number, line in enumerate(lines[1:], start=2):
        fields = line.split("\t")
        if len(fields) == len(header):
            yield f"line {number}", [fields[index] for index in order]
        else:
            faults.add(
                "a row is longer or shorter than the header",
                file=path,
                field=f"line {number}",
                found=f"{len(fields)} fields",
                expected=f"{len(header)} fields",
            )
        if len(faults) - faults_before >= MAX_PER_TABLE:
            return


def _lines(path: Path, faults: Faults, max_bytes: int) -> list[str]:
    if (size := path.stat().st_size) > max_bytes:
        faults.add("a table is too large", file=path, found=f"{size} bytes", expected=f"at most {max_bytes} bytes")
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        faults.add(
            "a table is not UTF-8 text", file=path, found=f"byte {error.start}: {error.reason}", expected="UTF-8"
        )
        return []
    if len(lines) < 2:
        faults.add("a table is empty", file=path, found=f"{len(lines)} lines", expected="a header and at least one row")
        return []
    return lines
