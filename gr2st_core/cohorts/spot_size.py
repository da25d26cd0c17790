"""How large spots are.

Belongs here: the diameter of a spot by its array. Does not belong here: distances between spots (``spot_scale``).
"""

from __future__ import annotations

_ARRAYS = ((160.0, 240.0, 100.0), (135.0, 160.0, 110.0), (80.0, 120.0, 55.0))
"""Least and largest pitch of arrays with round spots, and the spots' diameter, um: Spatial Transcriptomics of 1,007
and of 1,934 spots, Visium."""
_BINS_UM = 20.0
"""Up to this pitch spots are square bins side by side."""
_SHARE = 0.55


def spot_diameter(pitch_um: float) -> tuple[float, str]:
    """Diameter of a spot in um, and in words where it is known from: the lake keeps the pitch alone."""
    for least, largest, diameter in _ARRAYS:
        if least <= pitch_um <= largest:
            return diameter, f"Spots are {diameter:.0f} µm wide, as on arrays with a pitch of {pitch_um:.0f} µm."
    if pitch_um <= _BINS_UM:
        return pitch_um, f"Spots are bins side by side, drawn as wide as the pitch of {pitch_um:.3g} µm."
    diameter = _SHARE * pitch_um
    return diameter, f"Spots are drawn {diameter:.3g} µm wide, 0.55 of the pitch: their size is not known."
