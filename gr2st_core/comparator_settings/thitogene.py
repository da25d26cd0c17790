"""Settings of THItoGene."""

from __future__ import annotations

from pydantic import Field

from gr2st_core.comparator_settings.base import ComparatorSettings


class THItoGeneSettings(ComparatorSettings):
    """THItoGene; defaults of its her2st run (field.md 1.3)."""

    epochs: int = Field(200, ge=1)
    learning_rate: float = Field(1e-5, gt=0)
    input_px: int = Field(112, ge=44, description="side of a patch in pixels; it spans 77 um")
    n_kernels: int = Field(4, ge=1, description="candidate kernels of the dynamic convolution")
    dynamic_channels: int = Field(16, ge=1, description="channels of the dynamic convolution")
    channels: tuple[int, int, int] = Field((32, 64, 64), description="of the first three of the four convolutions")
    n_primary: int = Field(16, ge=1, description="primary capsules")
    d_primary: int = Field(8, ge=1)
    n_capsules: int = Field(20, ge=1, description="capsules that these are routed to")
    d_capsule: int = Field(64, ge=1, description="their width, and that of the column's and the row's embedding")
    depth: int = Field(4, ge=1, description="attention blocks")
    n_heads: int = Field(16, ge=1)
    d_head: int = Field(64, ge=1)
    d_mlp: int = Field(2048, ge=1)
    n_neighbours: int = Field(4, ge=1, description="nearest spots that a spot attends to in the graph")
    graph_heads: int = Field(8, ge=1)
    d_graph_head: int = Field(1024, ge=1)
    d_graph: int = Field(512, ge=1, description="width after the second graph layer")
    d_hidden: int = Field(1024, ge=1, description="width of the head")
    dropout: float = Field(0.2, ge=0, lt=1)


SMALL = THItoGeneSettings(
    epochs=60,
    patience=20,
    learning_rate=1e-3,
    input_px=56,
    channels=(16, 32, 32),
    d_capsule=8,
    depth=1,
    n_heads=4,
    d_mlp=512,
    graph_heads=4,
    d_graph_head=64,
    d_graph=128,
    d_hidden=256,
    dropout=0.1,
)
"""For two cores."""

FEATURES_SMALL = SMALL.model_copy(update={"epochs": 60, "patience": 15, "learning_rate": 3e-3})
"""The same on features."""
