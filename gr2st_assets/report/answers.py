"""Queries of the report and their answers, each kept with the very text that was run.

Belongs here: putting values into a query as literals, so that what is shown can be pasted into ``gr2st sql``; cells as
text. Does not belong here: any query, running them (``sql``).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gr2st_assets.catalog import quoted

if TYPE_CHECKING:
    import pyarrow as pa

Ask = Callable[[str], "pa.Table"]
"""Runs one query without parameters."""

_PARAMETER = re.compile(r"\$(\w+)")
_MOST_DECIMALS = 4
_WIDEST = 1200
NOTHING = "\N{EN DASH}"
"""How NULL is shown: not measured, or not defined."""


@dataclass(frozen=True)
class Answer:
    """Rows, and the query that gave them."""

    query: str
    table: "pa.Table"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows by column name."""
        return list(self.table.to_pylist())

    @property
    def row(self) -> dict[str, Any]:
        """The only row, or an empty one."""
        return next(iter(self.rows), dict.fromkeys(self.table.column_names))

    @property
    def columns(self) -> list[str]:
        """Column names."""
        return list(self.table.column_names)

    @property
    def numeric(self) -> list[bool]:
        """Whether each column holds numbers."""
        import pyarrow.types as kinds

        return [bool(kinds.is_integer(f.type) or kinds.is_floating(f.type)) for f in self.table.schema]

    @property
    def cells(self) -> list[tuple[str, ...]]:
        """Rows as text, every column of numbers with as many decimals throughout as one of its values needs."""
        columns = [self.table.column(index).to_pylist() for index in range(self.table.num_columns)]
        return list(zip(*(_texts(column) for column in columns), strict=True))


class Asking:
    """Asks one state of the lake about one subject."""

    def __init__(self, ask: Ask, values: Mapping[str, Any]) -> None:
        """Take what runs a query, and the values of ``$name`` in all queries."""
        self._ask = ask
        self.values = dict(values)

    def __call__(self, query: str, **values: Any) -> Answer:
        """Run a query; further values belong to it alone.

        Raises
        ------
        QueryError
            What the catalogue refuses.
        """
        text = self.text(query, **values)
        return Answer(text, self._ask(text))

    def text(self, query: str, **values: Any) -> str:
        """Write a query as it would be run."""
        return bound(query, {**self.values, **values}).strip()

    def about(self, **values: Any) -> "Asking":
        """Ask the same state about something narrower."""
        return Asking(self._ask, {**self.values, **values})


def bound(query: str, values: Mapping[str, Any]) -> str:
    """Put values in the place of ``$name``, as literals."""
    return _PARAMETER.sub(lambda found: _literal(values[found[1]]), query)


def _literal(value: Any) -> str:
    return "NULL" if value is None else quoted(value) if isinstance(value, str) else str(value)


def _texts(column: list[Any]) -> list[str]:
    decimals = max((_decimals(value) for value in column if isinstance(value, float)), default=0)
    return [_text(value, decimals) for value in column]


def _decimals(value: float) -> int:
    return len(f"{value:.{_MOST_DECIMALS}f}".rstrip("0").partition(".")[2])


def _text(value: Any, decimals: int) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}")
    text = str(value)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
