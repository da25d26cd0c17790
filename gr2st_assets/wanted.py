"""Names that others gave files: which are wanted, and where they may be put.

Belongs here: applying the rules of a catalogue to the names in a listing or an archive. Does not belong here: listings
(``listings``), archives (``unpacking``).
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from gr2st_core.cohorts.published import Keep
from gr2st_core.errors import SchemaError


def relative_path(name: str, *, file: object) -> PurePosixPath:
    """Give a name from elsewhere as a path that stays below the folder it is put in.

    Raises
    ------
    SchemaError
        It is absolute, has ``..``, or could mean something else on another system.
    """
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or not name.isprintable():
        raise SchemaError(
            "a name leads out of its folder",
            file=file,
            field="name",
            found=repr(name)[:200],
            expected="a path below it",
        )
    return path


def wanted(names: Sequence[str], keep: Sequence[Keep], *, file: object) -> list[tuple[int, str, bool]]:
    """Choose among names: index of the name, path to put it at, whether it is to be unpacked.

    Raises
    ------
    SchemaError
        A rule matches nothing, or two names lead to one path.
    """
    found: dict[str, tuple[int, bool]] = {}
    for rule in keep:
        pattern = re.compile(rule.match)
        matches = [(index, match) for index, name in enumerate(names) if (match := pattern.fullmatch(name))]
        if not matches:
            raise SchemaError(
                "what the catalogue expects is not there", file=file, field="match", found=list(names[:10]),
                expected=rule.match, hint="the publisher's files have other names than the catalogue says",
            )  # fmt: skip
        for index, match in matches:
            target = str(relative_path(match.expand(rule.to), file=file))
            if found.setdefault(target, (index, rule.unpack))[0] != index:
                raise SchemaError(
                    "two files have one name", file=file, field="to", found=[names[found[target][0]], names[index]],
                    expected=target,
                )  # fmt: skip
    return [(index, target, unpack) for target, (index, unpack) in sorted(found.items())]
