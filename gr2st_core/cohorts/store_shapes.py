"""Spots of a SpatialData store as shapes, placed on its image.

Belongs here: centroids, ids and diameter of one set of shapes, through the store's transformations. Does not belong
here: the table (``spatialdata_reader``), which image (``store_image``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.matrix_checks import within_limits
from gr2st_core.containers.store_image import StoreImage
from gr2st_core.settings import Limits
from gr2st_core.types import FloatArray

_AXES = ("x", "y")


@dataclass(frozen=True, slots=True)
class Shapes:
    """Spots in the order of the shapes.

    Attributes
    ----------
    ids
        Instance ids, unique.
    pixel_xy
        Centroids in pixels of the image, or in the shapes' own units without one; shape ``(n, 2)``.
    diameter_px
        Median diameter of circles in the same units; None for other shapes.
    """

    ids: tuple[Any, ...]
    pixel_xy: FloatArray
    diameter_px: float | None


def read_shapes(store: Path, name: str, image: StoreImage | None, faults: Faults, limits: Limits) -> Shapes:
    """Read one set of shapes with spatialdata.

    Raises
    ------
    DataError
        They cannot be read at all; what else is wrong with them goes to ``faults``.
    """
    import spatialdata

    _check_size(store / "shapes" / name / "shapes.parquet", faults, limits)
    faults.raise_any("a section cannot be read")
    try:
        data = spatialdata.read_zarr(store, selection=("shapes",) if image is None else ("shapes", "images"))
        shapes = data.shapes[name]
        affine = np.eye(3) if image is None else _to_image(shapes, data.images[image.element], image, faults, store)
        centres = shapes.geometry.centroid
        xy = np.stack([centres.x, centres.y, np.ones(len(shapes))], axis=1) @ affine.T
        radius = shapes["radius"] if "radius" in shapes.columns else None
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, IndexError) as error:
        faults.add(
            "the shapes of a store cannot be read",
            file=store,
            field=f"shapes/{name}",
            found=f"{type(error).__name__}: {str(error)[:300]}",
            hint="write the store anew with a current spatialdata",
        )
        raise faults.found[-1] from error
    if not shapes.index.is_unique:
        doubled = shapes.index[shapes.index.duplicated()].tolist()[:10]
        faults.add("a shape is listed twice", file=store, field=f"shapes/{name}", found=doubled)
    zoom = float(np.sqrt(abs(np.linalg.det(affine[:2, :2]))))
    diameter = None if radius is None else float(np.median(radius)) * 2 * zoom
    return Shapes(tuple(shapes.index.tolist()), xy[:, :2], diameter)


def _check_size(file: Path, faults: Faults, limits: Limits) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not file.is_file():  # stores before 0.2 keep shapes as zarr arrays, whose sizes were judged with the store
        return
    try:
        metadata = pq.read_metadata(file)
    except (pa.ArrowException, OSError) as error:
        faults.add("shapes are truncated or damaged", file=file, found=str(error)[:200], hint="fetch the file again")
        return
    within_limits(metadata.num_rows, 0, faults, file=file, limits=limits)
    n_bytes = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    if n_bytes > limits.max_bytes:
        faults.add(
            "shapes unpack to too many bytes",
            file=file,
            field="limits.max_bytes",
            found=n_bytes,
            expected=f"at most {limits.max_bytes}",
        )


def _to_image(shapes: Any, element: Any, image: StoreImage, faults: Faults, store: Path) -> NDArray[np.float64]:
    """Matrix that takes homogeneous x, y of the shapes to pixels of the image, ``(3, 3)``; NaN if there is a fault."""
    from spatialdata.transformations import get_transformation

    of_shapes, of_image = (get_transformation(item, get_all=True) for item in (shapes, element))
    ways = []
    for system in sorted(set(of_shapes) & set(of_image)):
        to_system = of_shapes[system].to_affine_matrix(_AXES, _AXES)
        from_image = of_image[system].to_affine_matrix(_AXES, _AXES)
        ways.append(np.linalg.solve(from_image, to_system))
    if not ways:
        faults.add(
            "shapes and image share no coordinate system",
            file=store,
            field=f"images/{image.element}",
            found=[sorted(of_shapes), sorted(of_image)],
            hint="register the shapes to the image with spatialdata.transformations",
        )
    elif not all(np.allclose(way, ways[0], rtol=1e-3, atol=1e-3) for way in ways):
        faults.add(
            "the coordinate systems of a store contradict each other",
            file=store,
            field=f"images/{image.element}",
            found=sorted(set(of_shapes) & set(of_image)),
            hint="remove the transformation that is wrong",
        )
    way = ways[0] if ways else np.full((3, 3), np.nan)
    return np.asarray(np.diag([*image.scale_xy, 1.0]) @ way, dtype=np.float64)
