"""Scale of a Visium sample: ``scalefactors_json.json``, and the pitch that the positions give.

Belongs here: what the factors say, which of them an image needs, and whether they agree with the positions. Does not
belong here: positions, images.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.scale import VISIUM_PITCH_UM

_MAX_BYTES = 2**16
_SPOT_SHARE = (0.45, 0.8)
"""Diameter of a spot over the pitch: 0.55, or 0.65 in the versions that state the diameter for a spot of 65 um."""
_BIN_TOLERANCE = 0.05
_DIAMETER = "spot_diameter_fullres"
_FACTOR_OF = {"tissue_hires_image": "tissue_hires_scalef", "tissue_lowres_image": "tissue_lowres_scalef"}
_UNKNOWN = dict.fromkeys((_DIAMETER, "bin_size_um", "microns_per_pixel", *_FACTOR_OF.values()), math.nan)


@dataclass(frozen=True, slots=True)
class Scale:
    """What the scale factors say.

    Attributes
    ----------
    factors
        The numbers of the file that this reader knows, by name; NaN where there was a fault.
    """

    path: Path
    factors: Mapping[str, float]

    @property
    def pitch_um(self) -> float:
        """Distance of neighbouring spots, or bins, on the slide."""
        return self.factors.get("bin_size_um", VISIUM_PITCH_UM)

    @property
    def is_binned(self) -> bool:
        """Whether these are bins of Visium HD, which is what the file alone says."""
        return "bin_size_um" in self.factors

    def of_image(self, image: Path | None, faults: Faults) -> float:
        """Factor from pixels of the full-resolution image to those of ``image``; 1 for that image itself."""
        name = None if image is None else _FACTOR_OF.get(image.stem)
        if name is None:
            return 1.0
        if name not in self.factors:
            faults.add("an image has no scale factor", file=self.path, field=name, found=sorted(self.factors))
        return self.factors.get(name, 1.0)


def read_scale(path: Path, faults: Faults) -> Scale:
    """Read scale factors; what is wrong with them goes to ``faults``."""
    if (size := path.stat().st_size) > _MAX_BYTES:
        faults.add("a table is too large", file=path, found=f"{size} bytes", expected=f"at most {_MAX_BYTES} bytes")
        return Scale(path, _UNKNOWN)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        faults.add("scale factors are not JSON", file=path, found=str(error)[:200], hint="fetch the file again")
        return Scale(path, _UNKNOWN)
    if not isinstance(values, dict):
        faults.add("scale factors are not JSON", file=path, found=type(values).__name__, expected="an object")
        return Scale(path, _UNKNOWN)
    if _DIAMETER not in values:
        faults.add("a scale factor is missing", file=path, field=_DIAMETER, found=sorted(values)[:10])
    return Scale(path, {name: _number(values[name], name, path, faults) for name in _UNKNOWN if name in values})


def _number(value: object, name: str, path: Path, faults: Faults) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
        return float(value)
    faults.add("a scale factor is unusable", file=path, field=name, found=repr(value), expected="a number above 0")
    return math.nan


def check_pitch(scale: Scale, pitch_fullres: float, positions: Path, faults: Faults) -> None:
    """Note a pitch that cannot be measured or that the scale factors contradict.

    Both files go into every coordinate. If they come from two images, the pixels are wrong by that factor, and so is
    every patch: it is a fault, not a warning.

    Parameters
    ----------
    pitch_fullres
        Distance of neighbours in pixels of the full-resolution image, as measured.
    """
    if not pitch_fullres > 0:
        faults.add(
            "the scale of the image cannot be measured",
            file=positions,
            field="pxl_row_in_fullres, pxl_col_in_fullres",
            found=f"pitch {pitch_fullres} px",
            expected="two spots that are neighbours on the grid and lie at different pixels",
        )
        return
    low, high = _SPOT_SHARE if not scale.is_binned else (1 - _BIN_TOLERANCE, 1 + _BIN_TOLERANCE)
    seen, expected = {_DIAMETER: scale.factors[_DIAMETER] / pitch_fullres}, {_DIAMETER: (low, high)}
    if "microns_per_pixel" in scale.factors:
        seen["microns_per_pixel"] = scale.factors["microns_per_pixel"] * pitch_fullres / scale.pitch_um
        expected["microns_per_pixel"] = (1 - _BIN_TOLERANCE, 1 + _BIN_TOLERANCE)
    for name, share in seen.items():
        lowest, highest = expected[name]
        if share < lowest or share > highest:
            faults.add(
                "scale factors and positions contradict each other",
                file=scale.path,
                field=name,
                found=f"{scale.factors[name]:g}, with {pitch_fullres:g} px from spot to spot: {share:.2f} of the pitch",
                expected=f"{lowest:g} to {highest:g} of the pitch",
                hint=f"take scalefactors_json.json and {positions.name} from the same run",
            )
