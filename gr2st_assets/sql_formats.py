"""Answers of queries as text and files.

Belongs here: one writer per format. Does not belong here: asking (``sql``).

NULL is ``NULL`` in a table, empty in csv, ``null`` in json. Numbers keep their full precision except in a table for
the eye. Text comes from files that others made, so control characters never reach a terminal, and no cell of a csv
starts like a spreadsheet formula.
"""

import base64
import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO

from gr2st_core.errors import SettingsError

if TYPE_CHECKING:
    import pyarrow as pa

_WIDEST = 60
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_answer(table: "pa.Table", form: str, stream: BinaryIO) -> None:
    """Write rows to a binary stream; text is UTF-8.

    Parameters
    ----------
    form
        ``table``, ``markdown``, ``csv``, ``json`` (a list of objects) or ``parquet``.

    Raises
    ------
    SettingsError
        Another format.
    """
    if form not in FORMATS:
        raise SettingsError("no such format", found=form, expected=sorted(FORMATS))
    FORMATS[form](table, stream)


def _write_table(table: "pa.Table", stream: BinaryIO) -> None:
    columns = [[name, *map(_cell, table.column(i).to_pylist())] for i, name in enumerate(table.column_names)]
    widths = [max(map(len, column)) for column in columns]
    right = [_is_number(field.type) for field in table.schema]
    lines = [
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]
    rule = "  ".join("-" * width for width in widths)
    stream.write("\n".join([lines[0], rule, *lines[1:], ""]).encode())


def _write_markdown(table: "pa.Table", stream: BinaryIO) -> None:
    right = [_is_number(field.type) for field in table.schema]
    rows = [[_cell(value).replace("|", "\\|") for value in row] for row in _rows(table)]
    ruler = ["---:" if r else "---" for r in right]
    lines = [f"| {' | '.join(cells)} |" for cells in (table.column_names, ruler, *rows)]
    stream.write("\n".join([*lines, ""]).encode())


def _write_csv(table: "pa.Table", stream: BinaryIO) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows([_csv_cell(value) for value in row] for row in _rows(table))
    stream.write(text.getvalue().encode())


def _write_json(table: "pa.Table", stream: BinaryIO) -> None:
    records = [dict(zip(table.column_names, map(_plain, row), strict=True)) for row in _rows(table)]
    stream.write((json.dumps(records, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode())


def _write_parquet(table: "pa.Table", stream: BinaryIO) -> None:
    import pyarrow.parquet as pq

    buffer = io.BytesIO()  # the writer needs to seek, which a pipe cannot
    pq.write_table(table, buffer, compression="zstd")
    stream.write(buffer.getvalue())


FORMATS: Mapping[str, Callable[["pa.Table", BinaryIO], None]] = {
    "table": _write_table,
    "markdown": _write_markdown,
    "csv": _write_csv,
    "json": _write_json,
    "parquet": _write_parquet,
}
"""Writer of each format."""


def _rows(table: "pa.Table") -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _is_number(kind: "pa.DataType") -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind))


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    text = f"{value:.6g}" if isinstance(value, float) else str(_plain(value))
    text = text if text.isprintable() else text.encode("unicode_escape").decode()
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."


def _csv_cell(value: Any) -> Any:
    plain = _plain(value)
    if isinstance(plain, str) and plain.startswith(_FORMULA):
        return "'" + plain
    return json.dumps(plain) if isinstance(plain, list | dict) else plain


def _plain(value: Any) -> Any:
    """Value as JSON knows it: whole decimals as integers, bytes in base64, NaN and infinity as None."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)
