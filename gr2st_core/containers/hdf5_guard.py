"""HDF5 files from strangers: opened, walked and measured before anything is read.

Belongs here: what HDF5 offers and a cohort has no use for (links, data kept in other files), and sizes that a few bytes
can declare. Does not belong here: what the groups mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gr2st_core.errors import SchemaError

_MAGIC = b"\x89HDF\r\n\x1a\n"
_MAX_DEPTH = 8
_MAX_OBJECTS = 2**15
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError)
"""What h5py raises on a damaged file, and on types that numpy lacks."""


def is_hdf5(path: Path) -> bool:
    """Tell whether a path is a regular file that can be read and starts as HDF5 does."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


@contextmanager
def open_hdf5(path: Path, section: str | None = None) -> Iterator[Any]:
    """Open a file for reading; damage may also show later, while it is used.

    Raises
    ------
    SchemaError
        The file is no HDF5, or damaged.
    """
    import h5py

    try:
        with h5py.File(path, "r") as root:
            yield root
    except _DAMAGE as error:
        raise SchemaError(
            "an HDF5 file is truncated or damaged",
            file=path,
            section=section,
            found=str(error)[:200],
            hint="fetch the file again",
        ) from error


def member(group: Any, path: str) -> Any:
    """Give what lies at ``path`` (``a/b``) below a group of an HDF5 file or a zarr store, or None.

    Raises
    ------
    SchemaError
        A part of the path is a link, which may lead anywhere, or an array whose data lie in another file.
    """
    node = group
    for part in path.split("/"):
        if not hasattr(node, "keys") or part not in _names(node):
            return None
        _require_hard_link(node, part)
        node = node[part]
    _require_own_data(node)
    return node


def arrays_in(root: Any, file: Path) -> Iterator[tuple[str, Any]]:
    """Yield every array at and below a node, with its path below that.

    Raises
    ------
    SchemaError
        There are links, or groups that hold themselves: nested too deep, or more than any file has.
    """
    waiting, n_seen = [("", root)], 0
    while waiting:
        path, node = waiting.pop()
        n_seen += 1
        if path.count("/") >= _MAX_DEPTH or n_seen > _MAX_OBJECTS:
            raise SchemaError(
                "groups are nested too deep",
                file=file,
                field=node.name,
                found=f"{path.count('/') + 1} levels, {n_seen} objects",
                expected=f"at most {_MAX_DEPTH} levels and {_MAX_OBJECTS} objects",
            )
        if hasattr(node, "keys"):
            waiting.extend((f"{path}/{name}".lstrip("/"), member(node, name)) for name in _names(node))
        elif hasattr(node, "shape"):
            yield path, node


def require_bounded(node: Any, file: Path, *, max_bytes: int) -> None:
    """Refuse an array, or all arrays of a group, that declare more than ``max_bytes`` together.

    Raises
    ------
    SchemaError
        Too large, nested too deep, or with links.
    """
    total = 0
    for _, array in arrays_in(node, file):
        total += declared_bytes(array) + _categories_bytes(array, file, max_bytes)
        if total > max_bytes:
            raise SchemaError(
                "an array declares too many bytes",
                file=file,
                field=array.name,
                found=f"{total} bytes, shape {array.shape}",
                expected=f"at most {max_bytes} bytes",
                hint="raise limits.max_bytes in the settings if the array is meant to be that large",
            )


def declared_bytes(array: Any) -> int:
    """Bytes that reading an array takes: its own, or one chunk where that is larger."""
    chunk = math.prod(getattr(array, "chunks", None) or (0,))
    n_entries = 0 if array.shape is None else math.prod(array.shape)
    return int(max(n_entries, chunk) * array.dtype.itemsize)


def _names(group: Any) -> list[str]:
    return list(group.keys())


def _require_hard_link(group: Any, name: str) -> None:
    import h5py

    if isinstance(group, h5py.Group) and not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise SchemaError(
            "an HDF5 file has a link",
            file=group.file.filename,
            field=f"{group.name.rstrip('/')}/{name}",
            found=type(group.get(name, getlink=True)).__name__,
            hint="write the file without links",
        )


def _require_own_data(node: Any) -> None:
    import h5py

    if isinstance(node, h5py.Dataset) and (node.is_virtual or node.external):
        raise SchemaError(
            "the data of an array lie in another file",
            file=node.file.filename,
            field=node.name,
            expected="an array that holds its data",
            hint="write the file without external or virtual datasets",
        )


def _categories_bytes(node: Any, file: Path, max_bytes: int) -> int:
    """Size of the categories that a column of AnnData before 0.8 refers to from an attribute."""
    import h5py

    reference = node.attrs.get("categories") if isinstance(node, h5py.Dataset) else None
    if not isinstance(reference, h5py.Reference):
        return 0
    categories = node.file[reference]
    _require_own_data(categories)
    if not isinstance(categories, h5py.Dataset) or (size := declared_bytes(categories)) > max_bytes:
        raise SchemaError("the categories of a column are too large", file=file, field=node.name, found=str(categories))
    return size
