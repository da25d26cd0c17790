"""Settings of HGGEP."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from gr2st_core.comparator_settings.distilled import DistilledSettings


class HGGEPSettings(DistilledSettings):
    """HGGEP; defaults of its publication (field.md 1.4), which does not say how many neighbours a hyperedge takes."""

    epochs: int = Field(500, ge=1)
    learning_rate: float = Field(1e-5, gt=0)
    input_px: int = Field(112, ge=16, description="side of a patch in pixels; it spans 77 um")
    image_weights: str | None = Field(
        None, description="safetensors file that the image encoder starts from; None: random weights"
    )
    theta: float = Field(0.7, ge=0, le=1, description="share of the centre that the stem's cross difference takes away")
    d_model: int = Field(1024, ge=8)
    depth: int = Field(4, ge=1, description="attention blocks of each of the three transformers")
    n_heads: int = Field(16, ge=1)
    d_head: int = Field(64, ge=1)
    d_mlp: int = Field(1024, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    n_neighbours: int = Field(8, ge=1, description="nearest spots, among which a hyperedge chooses")
    n_alike: int = Field(4, ge=1, description="neighbours in a hyperedge")
    hyperedge: Literal["most_alike", "least_alike"] = Field(
        "most_alike", description="which neighbours these are; least: as the published code has it, against its aim"
    )
    d_hypergraph: int = Field(512, ge=1, description="width between the hypergraph convolutions")
    hypergraph_dropout: float = Field(0.5, ge=0, lt=1)
    n_jump_layers: int = Field(4, ge=1, description="of the LSTM over transformers and hypergraph")

    @property
    def map_side(self) -> int:
        """Side of the encoder's last maps: the stem halves and adds 2, the encoder halves four times; rounded up."""
        stem_side = -(-self.input_px // 2) + 2
        return -(-stem_side // 16)

    @model_validator(mode="after")
    def _a_row_is_whole_channels(self) -> Self:
        if self.d_model % self.map_side**2:
            raise ValueError(f"d_model must be a multiple of {self.map_side**2} at input_px {self.input_px}")
        return self


SMALL = HGGEPSettings(
    epochs=28,
    patience=12,
    learning_rate=1e-3,
    input_px=16,
    d_model=128,
    depth=1,
    n_heads=4,
    d_mlp=256,
    d_hypergraph=128,
    n_jump_layers=2,
    n_passes=1,
)
"""For two cores."""

FEATURES_SMALL = SMALL.model_copy(update={"epochs": 30, "patience": 10, "learning_rate": 2e-3})
"""The same on features."""
