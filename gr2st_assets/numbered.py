"""Folders of numbered files, each created once by one writer: manifests, promotions.

Belongs here: their names. Does not belong here: what the files hold, creating them (``publish.create_exclusive``).
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upath import UPath

_NUMBERED = re.compile(r"(\d{6,})\.json")


def numbered_path(folder: "UPath", number: int) -> "UPath":
    """Where the file of a number is, or would be."""
    return folder / f"{number:06d}.json"


def existing_numbers(folder: "UPath") -> list[int]:
    """Numbers of the files there are, ascending; none if there is no folder."""
    folder.fs.invalidate_cache()  # object stores remember listings
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return sorted(int(match[1]) for match in map(_NUMBERED.fullmatch, names) if match)
