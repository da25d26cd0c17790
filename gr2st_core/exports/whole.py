"""How an export becomes visible: in full or not at all.

Belongs here: the temporary place beside the final one, and the rename. Does not belong here: formats; the lake, whose
files are immutable (``gr2st_assets.publish``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gr2st_core.errors import SchemaError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a path of the same name in a temporary folder beside ``path``; at the end what is there takes its place.

    A file replaces an earlier one in one step. A zarr store replaces an earlier one in two, between which there is
    none. A killed writer leaves a folder ``.tmp-*`` that may be deleted.

    Raises
    ------
    SchemaError
        At ``path`` is a folder that is no zarr store: nothing is deleted that no export can have written.
    """
    if path.is_dir() and not (path / "zarr.json").is_file():
        raise SchemaError(
            "an export would replace a folder", file=path, expected="nothing, or an earlier export", hint="remove it"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".tmp-", dir=path.parent) as folder:
        staged = Path(folder) / path.name
        yield staged
        for part in (staged, *staged.rglob("*")):
            _sync(part)
        if path.is_dir():
            path.rename(Path(folder) / "replaced")
        staged.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
