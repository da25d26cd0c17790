"""What one query may use, and what it is told when it is refused.

Belongs here: limits, and refusals in one line each with what to do. Does not belong here: refusing (``sql``,
``sandbox``).
"""

from dataclasses import dataclass

from gr2st_core.errors import Gr2stError

SHOW = "'show tables' lists the views, 'describe VIEW' the columns of one"
ONLY_VIEWS = f"only the views of the catalogue can be read: {SHOW}"
_HINTS = {
    "Parser": "one SELECT in DuckDB's dialect; docs/questions.md has examples",
    "Catalog": SHOW,
    "Binder": SHOW,
    "Permission": ONLY_VIEWS,
    "IO": ONLY_VIEWS,
    "Conversion": "compare like with like, or use try_cast",
    "Out of Memory": "ask for less, or raise --memory",
}
"""What to do about an error of DuckDB, by the word that its message begins with."""
_LONGEST = 500


class QueryError(Gr2stError):
    """A query was refused or failed."""

    @classmethod
    def of_duckdb(cls, error: BaseException, limits: "Limits") -> "QueryError":
        """Say in one line what DuckDB says; what it quotes others wrote, so nothing of it can move a cursor."""
        text = " ".join(str(error).partition("\n\n")[0].split())
        text = text if text.isprintable() else text.encode("unicode_escape").decode()
        kind = text.partition(" Error: ")[0]
        if kind == "INTERRUPT":
            return cls.of_time(limits)
        return cls(text[:_LONGEST], hint=_HINTS.get(kind, "docs/sql.md says what a query may do"))

    @classmethod
    def of_time(cls, limits: "Limits") -> "QueryError":
        """Say that the query ran too long."""
        return cls(
            "the query takes too long", expected=f"<= {limits.seconds:g} s", hint="ask for less, or raise --seconds"
        )

    @classmethod
    def of_memory(cls, limits: "Limits") -> "QueryError":
        """Say that the query needs too much memory."""
        return cls(
            "the query takes too much memory", expected=f"<= {limits.memory_mb} MB", hint=_HINTS["Out of Memory"]
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may use.

    Attributes
    ----------
    rows
        Rows returned, at most; more are cut off and said to be.
    seconds
        Running time, checked between chunks of work.
    memory_mb
        DuckDB's buffers; nothing is spilled to disk.
    sql_bytes
        Length of the query text.
    """

    rows: int = 10_000
    seconds: float = 60.0
    memory_mb: int = 4096
    threads: int = 2
    sql_bytes: int = 65_536

    @property
    def answer_bytes(self) -> int:
        """Size of an answer: a sixteenth of the memory, since it is held several times while it is handed on."""
        return (self.memory_mb << 20) // 16


def require_short(sql: str, limits: Limits) -> None:
    """Refuse a text that would take long to parse.

    Raises
    ------
    QueryError
    """
    if (size := len(sql.encode())) > limits.sql_bytes:
        hint = "put long lists into a table that you join, or ask in parts"
        raise QueryError("the query is too long", found=size, expected=f"<= {limits.sql_bytes} bytes", hint=hint)
