"""Faults of a cohort folder, collected so that all are reported at once.

Belongs here: the collector. Does not belong here: what is a fault (the readers), what is done about one (callers).
"""

from __future__ import annotations

from gr2st_core.errors import CohortError, DataError, SchemaError

MAX_PER_TABLE = 20
"""Faults after which a table is not read on: a file of the wrong kind has one in every row."""


class Faults:
    """Faults of one section or folder.

    Parameters
    ----------
    **where
        Context that every fault gets, e.g. ``section``.
    """

    def __init__(self, **where: object) -> None:
        self._where = where
        self.found: list[DataError] = []

    def __len__(self) -> int:
        return len(self.found)

    def add(self, message: str, kind: type[DataError] = SchemaError, **context: object) -> None:
        """Note one fault."""
        self.found.append(kind(message, **{**self._where, **context}))

    def take(self, error: DataError) -> None:
        """Note an error that was raised where less is known of the place."""
        self.found.append(type(error)(error.message, **{**self._where, **error.context}))

    def raise_any(self, message: str) -> None:
        """Raise the only fault itself, or a ``CohortError`` that lists several; without one do nothing.

        Raises
        ------
        DataError
        """
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            raise CohortError(message, self.found, **self._where, found=f"{len(self.found)} faults")
