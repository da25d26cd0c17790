"""What a report is made of: chapters of blocks, each a table or a drawing with what it was asked from.

Belongs here: the values that the template shows. Does not belong here: their content (one module a chapter).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gr2st_assets.report.answers import Answer

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True)
class Block:
    """One thing to look at.

    Attributes
    ----------
    key
        Names the block in the page, unique within it.
    title, note
        What it shows, and what to know when reading it.
    answer
        Rows that are shown as a table, or None.
    drawings
        SVG or images, side by side where there is room.
    asked
        Answers behind the drawings, whose queries are shown.
    italic
        Column whose cells are symbols of genes.
    empty
        What is said where the table has no rows.
    points
        Sentences of a list.
    code
        Text that is shown as it is when asked for.
    """

    key: str
    title: str
    note: str = ""
    answer: Answer | None = None
    drawings: Sequence["Markup"] = ()
    asked: Sequence[Answer] = ()
    italic: str = ""
    empty: str = "No rows."
    points: Sequence[str] = ()
    code: str = ""

    @property
    def queries(self) -> list[str]:
        """Text of every query behind the block, the table's first."""
        answers = ([self.answer] if self.answer else []) + list(self.asked)
        return list(dict.fromkeys(answer.query for answer in answers))


@dataclass(frozen=True)
class Chapter:
    """Blocks under one heading."""

    title: str
    blocks: Sequence[Block]
