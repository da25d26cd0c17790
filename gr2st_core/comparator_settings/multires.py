"""Settings of the comparator that sees a spot at several resolutions."""

from __future__ import annotations

from pydantic import Field

from gr2st_core.comparator_settings.base import ComparatorSettings


class MultiresSettings(ComparatorSettings):
    """Spot, neighbours and section; of this project's own design, with no published setting."""

    epochs: int = Field(100, ge=1)
    patience: int | None = Field(20, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decay")
    d_model: int = Field(512, ge=8)
    n_heads: int = Field(8, ge=1)
    d_head: int = Field(64, ge=1)
    d_mlp: int = Field(1024, ge=8, description="hidden width within a block of attention")
    neighbour_depth: int = Field(2, ge=1, description="blocks in which a spot attends to its neighbours")
    section_depth: int = Field(2, ge=1, description="blocks in which all spots attend to each other")
    n_neighbours: int = Field(
        30, ge=0, description="nearest spots that a spot attends to, at most; as many as max_pitches lets in"
    )
    max_pitches: float = Field(
        2.9, gt=0, description="farther spots are no neighbours: a square grid has 24 within 2.9, a hexagonal one 30"
    )
    dropout: float = Field(0.2, ge=0, lt=1)
    distillation_weight: float = Field(
        0.3, ge=0, le=1, description="share of a branch's loss that is its distance from the fused prediction"
    )


SMALL = MultiresSettings(
    epochs=40,
    patience=12,
    learning_rate=1e-3,
    d_model=128,
    n_heads=4,
    d_head=32,
    d_mlp=128,
    neighbour_depth=1,
    section_depth=1,
    n_neighbours=8,
    max_pitches=1.5,
)
"""For two cores."""
