"""Resolution that an image file declares.

Belongs here: what TIFF tags and OME metadata say, in um per px, and when that is believed. Does not belong here: the
scale that a spot grid gives its image (``cohorts``), vendors' own fields, which OpenSlide reads.
"""

from __future__ import annotations

import math
import re

PLAUSIBLE_UM_PER_PX = (0.05, 10.0)
"""Scanners and microscopes lie within. TIFF writers that know nothing store 72 or 300 dots per inch, 353 or 85 um."""

_MAX_RATIO = 1.02
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>")
_ATTRIBUTE = re.compile(r'(PhysicalSize[XY](?:Unit)?)\s*=\s*"([^"]*)"')
_MICROMETRES = {
    "\N{MICRO SIGN}m": 1.0, "\N{GREEK SMALL LETTER MU}m": 1.0, "um": 1.0, "micron": 1.0, "nm": 1e-3, "mm": 1e3,
    "cm": 1e4, "m": 1e6,
}  # fmt: skip
_UM_PER_UNIT = {2: 25_400.0, 3: 10_000.0}
"""By TIFF ResolutionUnit: inch, centimetre."""


def square_um_per_px(x: float | None, y: float | None) -> float | None:
    """Resolution of square pixels; None if unknown, implausible, or if pixels are not square."""
    sides = [side for side in (x, y) if side is not None]
    low, high = PLAUSIBLE_UM_PER_PX
    if not sides or not all(math.isfinite(side) and low <= side <= high for side in sides):
        return None
    return sum(sides) / len(sides) if max(sides) <= _MAX_RATIO * min(sides) else None


def declared_um_per_px(description: str, resolution: tuple[float | None, float | None], unit: int) -> float | None:
    """Resolution by OME metadata, else by TIFF tags.

    Parameters
    ----------
    description
        ImageDescription.
    resolution
        XResolution and YResolution, pixels a unit.
    unit
        ResolutionUnit: 2 inch, 3 centimetre, else none.
    """
    return _of_ome(description) or _of_tags(resolution, unit)


def _of_ome(description: str) -> float | None:
    # Two attributes of one element: not worth an XML parser that would have to be guarded against hostile documents.
    element = _PIXELS.search(description)
    if element is None:
        return None
    found = dict(_ATTRIBUTE.findall(element[0]))
    return square_um_per_px(
        *(_side(found.get(name), found.get(f"{name}Unit")) for name in ("PhysicalSizeX", "PhysicalSizeY"))
    )


def _side(size: str | None, unit: str | None) -> float | None:
    if size is None:
        return None
    try:
        return float(size) * _MICROMETRES.get(unit or "um", math.nan)
    except ValueError:
        return math.nan


def _of_tags(resolution: tuple[float | None, float | None], unit: int) -> float | None:
    um = _UM_PER_UNIT.get(unit)
    if um is None:
        return None
    return square_um_per_px(*(um / value if value else None for value in resolution))
