"""How many micrometres a pixel is, from what a file states and how far its spots lie apart.

Belongs here: the pitch in pixels of any arrangement of spots, and which statement about the scale counts. Does not
belong here: where the statements stand (the readers).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from gr2st_core.cohorts.cohort_file import COHORT_FILE
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.scale import VISIUM_PITCH_UM
from gr2st_core.types import FloatArray, StrArray

_VISIUM_DIAMETERS = (0.45, 0.75)
"""Spot diameter in pitches. Spots are 55 um wide; Space Ranger writes the diameter of a "theoretical 65 um spot", other
writers that of 55 um, so the diameter tells that an array is Visium and the pitch how large a pixel is."""


@dataclass(frozen=True, slots=True)
class StatedScale:
    """What a file says about its scale; None where it says nothing. Pixels are those of the section's image."""

    pitch_um: float | None = None
    um_per_px: float | None = None
    spot_diameter_px: float | None = None


def nearest_pitch(pixel_xy: FloatArray) -> float:
    """Median distance from a spot to the nearest other one, which is the pitch on any grid.

    NaN below two spots, or where a position is NaN.
    """
    if len(pixel_xy) < 2 or np.isnan(pixel_xy).any():
        return float("nan")
    distances, _ = cKDTree(pixel_xy).query(pixel_xy, k=2)
    return float(np.median(np.asarray(distances)[:, 1]))


def measured_pitch(pixel_xy: FloatArray, faults: Faults, *, file: Path) -> float:
    """Measure the pitch in pixels; NaN, and a fault, where spots are fewer than two or lie on one another.

    Positions that are NaN have their fault already.
    """
    if np.isnan(pixel_xy).any():
        return float("nan")
    pitch_px = nearest_pitch(pixel_xy)
    if not pitch_px > 0:
        faults.add(
            "the scale of the image cannot be measured",
            file=file,
            field="spot positions",
            found=f"pitch {pitch_px} px of {len(pixel_xy)} spots",
            expected="at least two spots, at different pixels",
        )
        return float("nan")
    return pitch_px


def pitch_in_um(
    pitch_px: float, in_cohort_file: float | None, stated: StatedScale, faults: Faults, *, file: Path
) -> float:
    """Give the pitch in micrometres; NaN, and a fault that says how to supply it, if nobody states a scale.

    What a person wrote into the cohort file comes first, then what the file says in micrometres, then a spot diameter
    that only a Visium array has.
    """
    by_scale = None if stated.um_per_px is None else stated.um_per_px * pitch_px
    if known := in_cohort_file or stated.pitch_um or by_scale:
        return known
    diameter = stated.spot_diameter_px
    if diameter is not None and _VISIUM_DIAMETERS[0] <= diameter / pitch_px <= _VISIUM_DIAMETERS[1]:
        return VISIUM_PITCH_UM
    faults.add(
        "nothing says how many micrometres a pixel is",
        file=file,
        field="pitch_um",
        found=None if diameter is None else f"spot diameter {diameter:.4g} px and pitch {pitch_px:.4g} px, not Visium",
        expected=f"pitch_um or um_per_px in {COHORT_FILE}",
        hint=f"write `pitch_um: <micrometres between neighbouring spot centres>` (Visium: 100) into {COHORT_FILE}",
    )
    return float("nan")


def checked_positions(
    xy: FloatArray | None, spot_ids: StrArray, faults: Faults, *, file: Path, field: str
) -> FloatArray:
    """Give positions back if there is a finite one per spot, else NaN for all; ``faults`` says which spot lacks it.

    Parameters
    ----------
    xy
        None if they have a fault already.
    """
    shape = (len(spot_ids), 2)
    nowhere = np.full(shape, np.nan)
    if xy is None:
        return nowhere
    if xy.shape != shape:
        faults.add("there is not one position per spot", file=file, field=field, found=xy.shape, expected=shape)
        return nowhere
    finite = np.isfinite(xy).all(axis=1)
    if not finite.all():
        off = spot_ids[~finite][:10].tolist()
        faults.add("a position is not finite", file=file, field=field, found=off, expected="finite pixel positions")
        return nowhere
    return xy
