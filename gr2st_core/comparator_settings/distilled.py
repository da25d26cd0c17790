"""What the settings of Hist2ST and HGGEP have in common.

Belongs here: the graph of near spots and the loss that both have. Does not belong here: either network.
"""

from __future__ import annotations

from pydantic import Field

from gr2st_core.comparator_settings.base import ComparatorSettings


class DistilledSettings(ComparatorSettings):
    """Near spots, likelihood of counts and self-distillation, as both publications have them."""

    n_neighbours: int = Field(ge=1, description="nearest spots that are a spot's neighbours")
    max_pitches: float = Field(2.0, gt=0, description="farther spots are no neighbours")
    zinb_weight: float = Field(0.25, ge=0)
    distillation_weight: float = Field(0.5, ge=0)
    n_passes: int = Field(5, ge=1, description="passes over changed patches per step")
