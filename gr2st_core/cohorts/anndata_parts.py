"""The parts of an AnnData group, in HDF5 or zarr, each read after what it declares was judged.

Belongs here: reading tables, arrays, matrices and numbers from such a group with anndata, within limits; what is wrong
goes to a collector. Does not belong here: what the columns and numbers mean (``anndata_sample``); any folder layout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.matrix_checks import within_limits
from gr2st_core.containers.hdf5_guard import member, require_bounded
from gr2st_core.errors import DataError
from gr2st_core.settings import Limits

_T = TypeVar("_T")
_BLOCK = 2**22  # entries of a dense matrix that are held at once
_DAMAGE = (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, IndexError, OverflowError)
"""What h5py, zarr, anndata and pandas raise on damaged files."""


def is_anndata(root: Any) -> bool:
    """Tell whether a group holds an AnnData object: it says so, or it has ``X``, ``obs`` and ``var``."""
    return root.attrs.get("encoding-type") == "anndata" or all(name in root for name in ("X", "obs", "var"))


@dataclass(frozen=True, slots=True)
class AnnDataParts:
    """Reads parts of one AnnData group.

    Attributes
    ----------
    root
        ``h5py.Group`` or ``zarr.Group``.
    file
        For messages.
    faults
        Gets every fault.
    """

    root: Any
    file: Path
    faults: Faults
    limits: Limits

    def has(self, path: str) -> bool:
        """Tell whether there is something at ``path``; what may not be read, e.g. a link, is not there."""
        return self._try(path, lambda: member(self.root, path)) is not None

    def names(self, path: str) -> list[str]:
        """Names in the group at ``path``, sorted; none without it."""
        node = self._try(path, lambda: member(self.root, path))
        return sorted(node.keys()) if node is not None and hasattr(node, "keys") else []

    def table(self, path: str) -> pd.DataFrame | None:
        """Read the data frame at ``path``; None if there is none or it has a fault."""
        return self._try(path, lambda: self._table(path))

    def array(self, path: str) -> NDArray[Any] | None:
        """Read the numbers at ``path``, an array or a data frame; None if there are none or they have a fault."""
        return self._try(path, lambda: self._array(path))

    def number(self, path: str) -> float | None:
        """Read the one number at ``path``; None if there is none or it has a fault."""
        value = self.array(path)
        if value is None or value.size == 1:
            return None if value is None else float(value.reshape(())[()])
        self.faults.add("not one number", file=self.file, field=path, found=f"shape {value.shape}")
        return None

    def text(self, path: str) -> str | None:
        """Read the text at ``path``; None if there is none or it has a fault."""
        return self._try(path, lambda: self._text(path))

    def matrix(self, path: str) -> Any | None:
        """Read the matrix at ``path`` as scipy sparse; a dense one in blocks, so that it is never held whole."""
        return self._try(path, lambda: self._matrix(path))

    def _try(self, path: str, read: Callable[[], _T | None]) -> _T | None:
        from anndata._io.specs.registry import IORegistryError  # anndata exports it nowhere

        try:
            return read()
        except DataError as error:
            self.faults.add(error.message, type(error), **{"file": self.file, **error.context})
        except (*_DAMAGE, IORegistryError) as error:
            self.faults.add(
                "a part of an AnnData object cannot be read",
                file=self.file,
                field=path,
                found=f"{type(error).__name__}: {str(error)[:300]}",
                hint="fetch the file again, or write it anew with a current anndata",
            )
        return None

    def _table(self, path: str) -> pd.DataFrame | None:
        from anndata.io import read_elem

        node = member(self.root, path)
        if node is None:
            return None
        if not hasattr(node, "keys"):
            self.faults.add(
                "a table of an AnnData object is in a form that anndata gave up in 2019",
                file=self.file,
                field=path,
                expected="a group of columns",
                hint="write the file anew with a current anndata",
            )
            return None
        names = [*node.attrs.get("column-order", ()), node.attrs["_index"]]
        if outside := [name for name in names if member(node, str(name)) is None]:
            self.faults.add("a table lacks columns that it lists", file=self.file, field=path, found=outside[:10])
            return None
        n_rows = member(node, str(node.attrs["_index"])).shape[0]
        if path.endswith("obs") and not within_limits(n_rows, 0, self.faults, file=self.file, limits=self.limits):
            return None
        require_bounded(node, self.file, max_bytes=self.limits.max_bytes)
        frame = read_elem(node)
        if not isinstance(frame, pd.DataFrame):
            self.faults.add("not a table", file=self.file, field=path, found=type(frame).__name__)
            return None
        return frame

    def _array(self, path: str) -> NDArray[Any] | None:
        from anndata.io import read_elem

        node = member(self.root, path)
        if node is None:
            return None
        require_bounded(node, self.file, max_bytes=self.limits.max_bytes)
        return np.asarray(read_elem(node), dtype=np.float64)

    def _text(self, path: str) -> str | None:
        node = member(self.root, path)
        if node is None or node.shape != ():
            return None
        value = node[()]
        value = value.item() if isinstance(value, np.ndarray) else value
        return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)

    def _matrix(self, path: str) -> Any | None:
        from anndata.io import read_elem

        node = member(self.root, path)
        if node is None:
            return None
        stored = member(node, "data") if hasattr(node, "keys") else node
        if stored is None or stored.dtype.kind not in "iuf":
            found = None if stored is None else str(stored.dtype)
            self.faults.add("a matrix holds no numbers", file=self.file, field=path, found=found, expected="integers")
            return None
        if not self._fits(node, path):
            return None
        return read_elem(node) if hasattr(node, "keys") else _in_blocks(node)

    def _fits(self, node: Any, path: str) -> bool:
        if not hasattr(node, "keys"):
            if len(node.shape) != 2:
                self.faults.add("a matrix has two axes", file=self.file, field=path, found=f"shape {node.shape}")
                return False
            n_rows, n_cells = node.shape[0], node.shape[0] * node.shape[1]
            arrays = [node]
        else:
            arrays = [member(node, name) for name in ("data", "indices", "indptr")]
            shape = node.attrs.get("shape", node.attrs.get("h5sparse_shape"))
            if shape is None or any(array is None for array in arrays):
                self.faults.add("a sparse matrix lacks a part", file=self.file, field=path, found=sorted(node.keys()))
                return False
            n_rows, n_cells = int(shape[0]), max(array.shape[0] - 1 for array in arrays if array is not None)
        if not within_limits(n_rows, n_cells, self.faults, file=self.file, limits=self.limits):
            return False
        for array in arrays:  # eight bytes an entry are the most that limits.max_cells allows; chunks may not be larger
            require_bounded(array, self.file, max_bytes=8 * (self.limits.max_cells + 1))
        return True


def _in_blocks(array: Any) -> sparse.csr_matrix:
    half = array.dtype.kind == "f" and array.dtype.itemsize == 2  # scipy knows no half precision
    dtype = np.dtype(np.float32) if half else array.dtype.newbyteorder("=")
    n_rows = max(1, _BLOCK // max(1, array.shape[1]))
    blocks = [
        sparse.csr_matrix(np.asarray(array[start : start + n_rows], dtype=dtype))
        for start in range(0, array.shape[0], n_rows)
    ]
    return sparse.vstack(blocks, format="csr") if blocks else sparse.csr_matrix(array.shape, dtype=dtype)
