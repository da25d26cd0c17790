"""Images inside other files: AnnData (HDF5) and SpatialData stores (zarr).

Belongs here: reading their pixels, within a cap on what they declare. Does not belong here: which image of a file it is
(``containers.embedded_image``, ``containers.store_image``), image files (``slides``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.containers.embedded_image import embedded_image
from gr2st_core.containers.hdf5_guard import declared_bytes, is_hdf5, open_hdf5
from gr2st_core.containers.store_image import store_image
from gr2st_core.containers.zarr_guard import is_store, require_safe_store
from gr2st_core.errors import ImageError

_BLOCK_ROWS = 1024
_MAX_BYTES_PER_PX = 4 * 8  # four channels of double precision


@dataclass(frozen=True, slots=True)
class _Source:
    """An image that was found and whose size was accepted; ``rows`` gives some of it, ``(n, width, channels)``."""

    height: int
    width: int
    dtype: np.dtype[Any]
    rows: Callable[[slice], NDArray[Any]]


def is_container(path: Path) -> bool:
    """Tell whether a path is a file or folder of a kind that may hold an image among other things."""
    return is_store(path) or is_hdf5(path)


def embedded_size(path: Path, *, max_megapixels: int, section: str | None = None) -> tuple[int, int]:
    """Width and height of the image in a container, from what it declares.

    Raises
    ------
    DataError
        As ``read_embedded``, but for damage that shows in the pixels alone.
    """
    with _opened(path, max_megapixels, section) as source:
        return source.width, source.height


def read_embedded(path: Path, *, max_megapixels: int, section: str | None = None) -> NDArray[np.uint8]:
    """Read the image in a container.

    Parameters
    ----------
    path
        AnnData file or SpatialData store.
    max_megapixels
        Larger images are refused.

    Returns
    -------
    uint8 ``(height, width, 3)``; floats from 0 to 1 are scaled to 255, transparent pixels become white (the glass).

    Raises
    ------
    DataError
        There is none, or it is too large, damaged, or of values that are no colours.
    """
    with _opened(path, max_megapixels, section) as source:
        pixels = np.empty((source.height, source.width, 3), dtype=np.uint8)
        for start in range(0, source.height, _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            try:
                values = source.rows(rows)
            except (OSError, ValueError, RuntimeError, KeyError) as error:
                raise ImageError(
                    "the image is truncated or damaged",
                    file=path,
                    section=section,
                    found=str(error)[:200],
                    hint="fetch the file again",
                ) from error
            pixels[rows] = _as_bytes(values, path, section)
    return pixels


@contextmanager
def _opened(path: Path, max_megapixels: int, section: str | None) -> Iterator[_Source]:
    if is_store(path):
        require_safe_store(path, section)
        stored = store_image(path, section)
        array = None if stored is None else stored.array
        yield _source(array, path, max_megapixels, section, channels_first=True)
    else:
        with open_hdf5(path, section) as root:
            found = embedded_image(root, path, section)
            array = None if found is None else found.array
            yield _source(array, path, max_megapixels, section, channels_first=False)


def _source(array: Any, path: Path, max_megapixels: int, section: str | None, *, channels_first: bool) -> _Source:
    if array is None:
        raise ImageError("a file holds no image", file=path, section=section, expected="an image in uns['spatial']")
    height, width = array.shape[1:] if channels_first else array.shape[:2]
    cap = max_megapixels * 1_000_000
    if height * width > cap or declared_bytes(array) > cap * _MAX_BYTES_PER_PX:
        raise ImageError(
            "the image is too large",
            file=path,
            section=section,
            found=f"{width}x{height} px, {declared_bytes(array)} bytes",
            expected=f"at most {cap} px",
            hint="raise limits.max_megapixels, or store the image at a lower resolution",
        )
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise ImageError(
            "the pixel type is not supported",
            file=path,
            section=section,
            found=str(array.dtype),
            expected="uint8, or floats from 0 to 1",
            hint="convert the image to 8-bit RGB",
        )

    def rows(part: slice) -> NDArray[Any]:
        return np.moveaxis(np.asarray(array[:, part]), 0, -1) if channels_first else np.asarray(array[part])

    return _Source(int(height), int(width), array.dtype, rows)


def _as_bytes(values: NDArray[Any], path: Path, section: str | None) -> NDArray[np.uint8]:
    if values.dtype.kind == "f":
        if not ((values >= 0) & (values <= 1)).all():  # NaN is neither
            raise ImageError(
                "an image of floats has values beyond 0 and 1",
                file=path,
                section=section,
                found=f"{np.nanmin(values)} to {np.nanmax(values)}",
                expected="0 to 1, without NaN",
            )
        values = np.rint(values * 255.0).astype(np.uint8)
    if values.shape[-1] == 3:
        return values.astype(np.uint8, copy=False)
    alpha = values[..., 3:].astype(np.float32) / 255.0
    pixels: NDArray[np.uint8] = np.rint(values[..., :3] * alpha + 255.0 * (1.0 - alpha)).astype(np.uint8)
    return pixels
