"""What ``gr2st sql`` does. Does not belong here: arguments (``cli``), anything that needs Dagster.

Most of what a short query costs is starting, so this module imports nothing that takes long.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gr2st_assets.lake import Lake
from gr2st_assets.project import lake_root
from gr2st_assets.publish import is_local
from gr2st_core.errors import Gr2stError, SettingsError

Say = Callable[[str], None]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def run_sql(query: str, params: Sequence[str], form: str, limit: int, seconds: float, memory_mb: int, say: Say) -> int:
    """Answer one query in a process of its own and write the rows to standard output; 1 if it was refused."""
    from gr2st_assets.readers import catalog_path
    from gr2st_assets.sandbox import SHIPPED, ask
    from gr2st_assets.sql_formats import FORMATS, write_answer

    if form not in FORMATS:  # known before the query has cost anything
        raise SettingsError("no such format", found=form, expected=sorted(FORMATS))
    lake = Lake(lake_root())
    catalog, is_remote = catalog_path(lake), not is_local(lake.root)
    limits = replace(SHIPPED, rows=limit, seconds=seconds, memory_mb=memory_mb)
    try:
        answer = ask(catalog, query, params=named(params), limits=limits, is_remote=is_remote)
    except Gr2stError as error:
        _say_refusal(error, say)
        return 1
    if not answer.is_confined and os.access(catalog.parent, os.W_OK):
        say("note: this system cannot forbid the query to write (no Landlock): ask your own queries only")
    write_answer(answer.table, form, sys.stdout.buffer)
    if answer.is_cut:
        say(f"only the first {limit} rows are shown; see --limit")
    return 0


def named(params: Sequence[str]) -> Mapping[str, str]:
    """Split ``name=value``; values stay text, whatever they look like.

    Raises
    ------
    SettingsError
        No name, or one that is given twice.
    """
    values: dict[str, str] = {}
    for param in params:
        name, equals, value = param.partition("=")
        if not (equals and _NAME.fullmatch(name)) or name in values:
            raise SettingsError("a parameter is name=value, each name once", field="--param", found=param)
        values[name] = value
    return values


def _say_refusal(error: Gr2stError, say: Say) -> None:
    """Two lines: what was refused, what to do."""
    context = dict(error.context)
    hint = context.pop("hint", "docs/sql.md says what a query may do")
    say(f"error: {Gr2stError(error.message, **context)}\nhint: {hint}")
