"""What sections, targets, units of a split and sources of cell types are called.

Belongs here: identities that everything may import at no cost, so only the standard library. Does not belong here:
values that hold arrays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from gr2st_core.errors import SchemaError

Target = Literal["per_spot", "per_gene_legacy", "cp10k"]
TARGETS: tuple[Target, ...] = ("per_spot", "per_gene_legacy", "cp10k")

SplitUnit = Literal["section", "patient", "external", "all"]
CellSource = Literal["image", "expression"]

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_COHORT = re.compile(r"[a-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, order=True)
class SectionKey:
    """Identity of one tissue section; its text form ``cohort/section`` is the partition key."""

    cohort: str
    section_id: str

    def __post_init__(self) -> None:
        for name, value, pattern in (("cohort", self.cohort, _COHORT), ("section_id", self.section_id, NAME)):
            if not pattern.fullmatch(value):
                raise SchemaError(f"a {name} must match {pattern.pattern}", field=name, found=repr(value))

    def __str__(self) -> str:
        return f"{self.cohort}/{self.section_id}"

    @classmethod
    def parse(cls, text: str) -> SectionKey:
        """Read ``cohort/section``.

        Raises
        ------
        SchemaError
        """
        cohort, slash, section_id = text.partition("/")
        if not slash:
            raise SchemaError("a section key is cohort/section", found=repr(text))
        return cls(cohort, section_id)
