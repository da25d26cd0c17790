"""Every error that the core raises on purpose.

Belongs here: the exception tree, and how an error says where it happened. Does not belong here: catching,
logging, or turning errors into Dagster failures (``gr2st_assets``).

::

    Gr2stError
    ├─ SettingsError                 a setting is unknown, out of range or contradictory
    ├─ DataError                     an input is not what its reader expects
    │  ├─ MissingArtifactError       rows, files or features that must exist do not
    │  ├─ SchemaError                columns, types or values break a table's contract
    │  ├─ AlignmentError             two tables that must describe the same spots do not
    │  ├─ PanelError                 genes are missing, duplicated or in another order
    │  ├─ ImageError                 an image cannot be used: unreadable, too large, too coarse
    │  └─ CohortError                several faults of one cohort folder, reported together
    ├─ SplitError                    folds cannot be made from these sections
    │  └─ LeakageError               test data would reach training or prediction
    └─ ModelError                    a model cannot be trained, stored or applied
       ├─ CheckpointError            a stored model is damaged or does not fit
       └─ NonFiniteError             a loss, weight or prediction is NaN or infinite
"""

from __future__ import annotations


class Gr2stError(Exception):
    """Base of all errors raised by this project.

    Parameters
    ----------
    message
        What was expected, what was found, and what to do.
    **context
        Where it happened, as ids and numbers: ``file``, ``section``, ``field``, ``found``, ``expected``, ``hint``.
    """

    def __init__(self, message: str, **context: object) -> None:
        super().__init__(message)
        self.message = message
        self.context = {name: value for name, value in context.items() if value is not None}

    def __str__(self) -> str:
        where = ", ".join(f"{name}={value}" for name, value in self.context.items())
        return f"{self.message} [{where}]" if where else self.message


class SettingsError(Gr2stError):
    """A setting is unknown, out of range or contradictory."""


class DataError(Gr2stError):
    """An input is not what its reader expects."""


class MissingArtifactError(DataError):
    """Rows, files or features that must exist do not."""


class SchemaError(DataError):
    """Columns, types or values break a table's contract."""


class AlignmentError(DataError):
    """Two tables that must describe the same spots do not."""


class PanelError(DataError):
    """Genes are missing, duplicated or in another order."""


class ImageError(DataError):
    """An image cannot be used: unreadable, too large, too coarse."""


class CohortError(DataError):
    """Several faults of one cohort folder, reported together.

    Parameters
    ----------
    faults
        One error a fault, each with its own context.
    """

    def __init__(self, message: str, faults: list[DataError], **context: object) -> None:
        super().__init__(message, **context)
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(f"  - {fault}" for fault in self.faults)])


class SplitError(Gr2stError):
    """Folds cannot be made from these sections."""


class LeakageError(SplitError):
    """Test data would reach training or prediction."""


class ModelError(Gr2stError):
    """A model cannot be trained, stored or applied."""


class CheckpointError(ModelError):
    """A stored model is damaged or does not fit."""


class NonFiniteError(ModelError):
    """A loss, weight or prediction is NaN or infinite."""
