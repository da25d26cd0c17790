"""The image inside an AnnData file: which of those that it holds, and its scale.

Belongs here: the choice, so that readers who place spots and whoever decodes the pixels make the same one. Does not
belong here: decoding (``images``); images of SpatialData stores (``store_image``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gr2st_core.containers.hdf5_guard import member
from gr2st_core.errors import ImageError, SchemaError

_IMAGES = ("hires", "downscaled_fullres", "lowres")  # the finest first


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """An image below ``uns['spatial']``.

    Attributes
    ----------
    array
        HDF5 dataset, shape ``(height, width, 3 or 4)``.
    scale
        Image pixels per unit of the spot positions.
    """

    array: Any
    scale: float


def library_of(root: Any, file: Path, section: str | None = None) -> Any | None:
    """Give the group of the one library in ``uns['spatial']``, or None without one.

    Raises
    ------
    SchemaError
        There are several: the file holds more than one section.
    """
    spatial = member(root, "uns/spatial")
    names = sorted(spatial.keys()) if hasattr(spatial, "keys") else []
    if len(names) > 1:
        raise SchemaError(
            "a file holds several sections",
            file=file,
            section=section,
            field="uns['spatial']",
            found=names[:10],
            expected="one library",
            hint="write one file per section",
        )
    library = member(spatial, names[0]) if names else None
    return library if hasattr(library, "keys") else None


def embedded_image(root: Any, file: Path, section: str | None = None) -> EmbeddedImage | None:
    """Find the finest image that a file holds, without reading it; None if it holds none.

    Raises
    ------
    SchemaError
        Several libraries.
    ImageError
        The image has another shape than a colour image, or no scale.
    """
    library = library_of(root, file, section)
    if library is None:
        return None
    for name in _IMAGES:
        array = member(library, f"images/{name}")
        if array is None:
            continue
        shape: tuple[int, ...] = getattr(array, "shape", ())
        if len(shape) != 3 or shape[2] not in (3, 4) or 0 in shape:
            raise ImageError(
                "an embedded image is no colour image",
                file=file,
                section=section,
                field=array.name,
                found=f"shape {shape}",
                expected="(height, width, 3 or 4)",
            )
        return EmbeddedImage(array, _scale(library, name, file, section))
    return None


def _scale(library: Any, image: str, file: Path, section: str | None) -> float:
    field = f"scalefactors/tissue_{image}_scalef"
    factor = member(library, field)
    is_number = getattr(factor, "shape", None) in ((), (1,)) and factor.dtype.kind in "iuf"
    value = np.asarray(factor[()] if is_number else np.nan)
    if not (np.isfinite(value).all() and (value > 0).all()):
        raise ImageError(
            "an embedded image has no scale",
            file=file,
            section=section,
            field=field,
            found=None if factor is None else str(value if is_number else factor),
            expected="image pixels per pixel of the spot positions",
        )
    return float(value.reshape(())[()])
