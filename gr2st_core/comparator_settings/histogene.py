"""Settings of HisToGene."""

from __future__ import annotations

from pydantic import Field

from gr2st_core.comparator_settings.base import ComparatorSettings


class HisToGeneSettings(ComparatorSettings):
    """HisToGene; defaults of its tutorial (field.md 1.1)."""

    epochs: int = Field(100, ge=1)
    learning_rate: float = Field(1e-5, gt=0)
    input_px: int = Field(112, ge=16, description="side of a patch in pixels; it spans 77 um")
    d_model: int = Field(1024, ge=8)
    depth: int = Field(8, ge=1, description="attention blocks")
    n_heads: int = Field(16, ge=1)
    d_head: int = Field(64, ge=1)
    d_mlp: int = Field(2048, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)


SMALL = HisToGeneSettings(
    epochs=200, patience=50, learning_rate=1e-3, input_px=28, d_model=256, depth=2, n_heads=4, d_mlp=512
)
"""For two cores; a network this narrow and this short a schedule want a far higher rate than the published one."""

FEATURES_SMALL = SMALL.model_copy(update={"epochs": 20, "patience": 6})
"""The same on features."""
