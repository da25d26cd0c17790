"""Regions that were drawn on an image: GeoJSON as QuPath exports it.

Belongs here: parsing annotations, which spots they hold. Does not belong here: tables of labels (``regions``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gr2st_core.cohorts.faults import MAX_PER_TABLE, Faults
from gr2st_core.errors import AlignmentError
from gr2st_core.types import FloatArray, StrArray

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_MAX_BYTES = 2**28
_AREAS = ("Polygon", "MultiPolygon")
_LONGEST = 200


def read_shapes(path: Path, pixel_xy: FloatArray, faults: Faults) -> StrArray:
    """Label each spot with the smallest region that its centre lies in; borders count as inside.

    Annotations without a class label nothing.

    Parameters
    ----------
    pixel_xy
        Spot centres in the pixels that the regions were drawn in, shape ``(n_spots, 2)``.
    faults
        Gets every fault; when it has got none the labels are sound.

    Returns
    -------
    Shape ``(n_spots,)``, empty text outside every region.
    """
    import shapely

    faults_before = len(faults)
    shapes, names = _parse(path, faults)
    labels = np.full(len(pixel_xy), "", dtype=f"<U{max(map(len, names), default=1)}")
    if not shapes:
        return labels
    rank = np.argsort(np.argsort([shape.area for shape in shapes], kind="stable"), kind="stable")
    pairs = shapely.STRtree(shapely.points(pixel_xy)).query(shapes, predicate="intersects")
    smallest = np.full(len(pixel_xy), len(shapes))
    np.minimum.at(smallest, pairs[1], rank[pairs[0]])
    inside = smallest < len(shapes)
    labels[inside] = np.array(names)[np.argsort(rank)][smallest[inside]]
    if not inside.any() and len(faults) == faults_before:
        faults.add(
            "no spot lies in an annotated region",
            AlignmentError,
            file=path,
            found=f"regions within {[float(n) for n in shapely.total_bounds(shapes)]}",
            expected=f"pixels like those of the spots, {np.ptp(pixel_xy, axis=0).tolist()} wide and high",
            hint="export the annotations in pixels of the full image, of this section",
        )
    return labels


def _parse(path: Path, faults: Faults) -> tuple[list[BaseGeometry], list[str]]:
    """Areas that have a class, and its name."""
    shapes, names = [], []
    faults_before = len(faults)
    for number, feature in enumerate(_features(path, faults)):
        properties = feature.get("properties") if isinstance(feature, dict) else None
        name = _name(properties) if isinstance(properties, dict) else None
        if name is None:
            continue
        label = f"feature {feature.get('id', number)}"
        try:
            shapes.append(_area(feature.get("geometry"), name))
            names.append(name)
        except _MalformedError as error:
            faults.add(str(error), file=path, field=label, found=error.found, expected=error.expected)
        if len(faults) - faults_before >= MAX_PER_TABLE:
            break
    return shapes, names


def _features(path: Path, faults: Faults) -> list[Any]:
    if (size := path.stat().st_size) > _MAX_BYTES:
        faults.add("an annotation file is too large", file=path, found=f"{size} bytes", expected=f"<= {_MAX_BYTES}")
        return []
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        faults.add("an annotation file is not JSON", file=path, found=str(error)[:100], expected="GeoJSON in UTF-8")
        return []
    if isinstance(content, dict):
        content = content.get("features", [content])
    if not isinstance(content, list):
        faults.add("an annotation file is not GeoJSON", file=path, found=type(content).__name__, expected="features")
        return []
    return content


class _MalformedError(Exception):
    def __init__(self, message: str, found: object, expected: str) -> None:
        super().__init__(message)
        self.found, self.expected = found, expected


def _name(properties: Mapping[str, Any]) -> str | None:
    """Class of an annotation; a derived class is written as QuPath shows it."""
    kind = properties.get("classification")
    if not isinstance(kind, dict):
        return None
    names = kind.get("names")
    name = kind.get("name") or (": ".join(map(str, names)) if isinstance(names, list) else None)
    return str(name) if name else None


def _area(geometry: object, name: str) -> BaseGeometry:
    """Build the polygon of an annotation.

    Raises
    ------
    _MalformedError
    """
    import shapely
    from shapely.geometry import shape
    from shapely.validation import explain_validity

    if not name.isprintable() or len(name) > _LONGEST:
        raise _MalformedError("a region label is unusable", repr(name[:40]), f"<= {_LONGEST} printable characters")
    kind = geometry.get("type") if isinstance(geometry, dict) else type(geometry).__name__
    if kind not in _AREAS:
        raise _MalformedError("an annotation has no area", kind, " or ".join(_AREAS))
    try:
        with np.errstate(invalid="ignore"):  # NaN is told of below
            area = shape(geometry)
    except (ValueError, TypeError, LookupError, AttributeError, shapely.errors.ShapelyError) as error:
        raise _MalformedError("an annotation has a malformed geometry", str(error)[:100], "rings of points") from error
    if area.is_empty or not area.is_valid or not np.isfinite(area.bounds).all():
        found = "no points" if area.is_empty else explain_validity(area)
        raise _MalformedError("an annotation has a malformed geometry", found, "rings that do not cross")
    return area
