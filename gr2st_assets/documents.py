"""The form of the lake's small JSON files: heads, sidecars, manifests.

Belongs here: encoding, and refusing what is damaged or newer than this version. Does not belong here: what the
documents say, reading or writing files.
"""

import json
from typing import TYPE_CHECKING, Any

from gr2st_core.errors import DataError, SchemaError

if TYPE_CHECKING:
    from upath import UPath

FORMAT_VERSION = 1
_DAMAGED = "gr2st doctor --verify lists all damage; gr2st cohort add writes a cohort's entry in the register anew"


def encode(document: dict[str, Any]) -> bytes:
    """JSON of this format version: sorted keys, UTF-8, newline at the end; NaN is refused."""
    versioned = {"format_version": FORMAT_VERSION, **document}
    return (json.dumps(versioned, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def decode(data: bytes, file: "UPath", *fields: str) -> dict[str, Any]:
    """Read what ``encode`` wrote.

    Parameters
    ----------
    file
        Where the bytes are from, for the message.
    fields
        Names that must be in the document.

    Raises
    ------
    DataError
        Not the JSON of a versioned object, or a field is missing.
    SchemaError
        Written by a newer version of the project.
    """
    try:
        document: dict[str, Any] = json.loads(data)
        version = int(document["format_version"])
    except (ValueError, TypeError, KeyError) as error:
        raise DataError("a lake document is damaged", file=file, found=repr(error), hint=_DAMAGED) from error
    if version > FORMAT_VERSION:
        raise SchemaError(
            "a newer version of the project wrote this",
            file=file,
            field="format_version",
            found=version,
            expected=FORMAT_VERSION,
            hint="upgrade gr2st-assets",
        )
    if missing := [name for name in fields if name not in document]:
        raise DataError("a lake document lacks fields", file=file, field=missing, found=sorted(document))
    return document
