"""The image inside a SpatialData store: which of those that it holds, and at which size.

Belongs here: the choice, so that readers who place spots and whoever decodes the pixels make the same one. Does not
belong here: decoding (``images``), where spots lie on it (``spatialdata_reader``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gr2st_core.errors import ImageError
from gr2st_core.settings import DEFAULT_LIMITS

_MAX_PX = DEFAULT_LIMITS.max_megapixels * 1_000_000
"""The default and not the setting in force: a choice that followed that would move spots against pixels."""


@dataclass(frozen=True, slots=True)
class StoreImage:
    """One resolution of one image of a store.

    Attributes
    ----------
    element
        Name of the image.
    array
        zarr array, shape ``(3 or 4, height, width)``.
    scale_xy
        Its pixels per pixel of the element's full resolution.
    """

    element: str
    array: Any
    scale_xy: tuple[float, float]


def store_image(path: Path, section: str | None = None) -> StoreImage | None:
    """Find the finest colour image that may be decoded whole, without reading it; None without colour images.

    The store must have passed ``zarr_guard``.

    Raises
    ------
    ImageError
        All are too large, or damaged.
    """
    import zarr

    try:
        root: Any = zarr.open_group(path, mode="r", use_consolidated=False)
        found = [image for name in _names(root) for image in _levels(name, root["images"][name])]
    except (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise ImageError(
            "the images of a store cannot be read", file=path, section=section, found=f"{type(error).__name__}: {error}"
        ) from error
    fitting = [image for image in found if _n_px(image) <= _MAX_PX]
    if found and not fitting:
        raise ImageError(
            "all images of a store are too large to be decoded whole",
            file=path,
            section=section,
            found={image.element: image.array.shape for image in found},
            expected=f"one of at most {_MAX_PX} px",
            hint="write the image with scale_factors, so that coarser resolutions are there too",
        )
    return max(fitting, key=_n_px, default=None)


def _names(root: Any) -> list[str]:
    return sorted(root["images"].group_keys()) if "images" in root else []


def _n_px(image: StoreImage) -> int:
    return int(image.array.shape[1] * image.array.shape[2])


def _levels(name: str, group: Any) -> list[StoreImage]:
    attributes = dict(group.attrs)
    scales = attributes.get("ome", attributes)["multiscales"][0]
    axes = [axis["name"] for axis in scales["axes"]]
    arrays = [group[dataset["path"]] for dataset in scales["datasets"]]
    full = arrays[0].shape
    if axes != ["c", "y", "x"] or full[0] not in (3, 4) or 0 in full:
        return []
    return [
        StoreImage(name, array, (array.shape[2] / full[2], array.shape[1] / full[1]))
        for array in arrays
        if len(array.shape) == 3 and array.shape[0] == full[0]
    ]
