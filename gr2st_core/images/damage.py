"""What image libraries say of a file, as the project's own error.

Belongs here: naming file and section in it. Does not belong here: which faults a library has (the modules that use it).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gr2st_core.errors import ImageError

CONVERT = "store it in tiles: vips tiffsave IN OUT.tif --tile --pyramid --bigtiff --compression jpeg"


class UnfitError(ValueError):
    """An image file is sound and yet not readable here.

    Parameters
    ----------
    found, expected
        Of what its message names.
    """

    def __init__(self, message: str, found: object, expected: object) -> None:
        super().__init__(message)
        self.found = found
        self.expected = expected


@contextmanager
def damage_named(faults: tuple[type[Exception], ...], path: Path, section: str | None) -> Iterator[None]:
    """Raise an ``UnfitError``, or any of the faults, as an ``ImageError`` that names the file."""
    try:
        yield
    except UnfitError as error:
        context = {"found": error.found, "expected": error.expected, "hint": CONVERT}
        raise ImageError(str(error), file=path, section=section, **context) from error
    except faults as error:
        raise ImageError(
            "the image is truncated or damaged",
            file=path,
            section=section,
            found=str(error) or type(error).__name__,
            hint="fetch the file again",
        ) from error
