"""Settings of Hist2ST."""

from __future__ import annotations

from pydantic import Field

from gr2st_core.comparator_settings.distilled import DistilledSettings


class Hist2STSettings(DistilledSettings):
    """Hist2ST; defaults of its publication (field.md 1.2)."""

    epochs: int = Field(350, ge=1)
    learning_rate: float = Field(1e-5, gt=0)
    decay_every: int = Field(50, ge=1, description="epochs after which the learning rate falls")
    decay: float = Field(0.9, gt=0, le=1, description="factor by which it falls")
    input_px: int = Field(112, ge=16, description="side of a patch in pixels; it spans 77 um")
    tile_px: int = Field(7, ge=1, description="side and stride of the first convolution")
    d_tile: int = Field(32, ge=1, description="channels of the mixer")
    n_mixers: int = Field(2, ge=1)
    mixer_px: int = Field(5, ge=1, description="side of the mixers' depthwise convolutions, in tiles")
    d_kept: int = Field(4, ge=1, description="channels of every tile in a spot's row")
    depth: int = Field(8, ge=1, description="attention blocks")
    n_heads: int = Field(16, ge=1)
    d_head: int = Field(64, ge=1)
    d_mlp: int = Field(1024, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    n_neighbours: int = Field(4, ge=1, description="nearest spots that a spot's graph layers read")
    n_graph_layers: int = Field(4, ge=1)
    n_jump_layers: int = Field(2, ge=1, description="of the LSTM over the graph layers")

    @property
    def d_model(self) -> int:
        """Width of a spot's row: its tiles' channels side by side."""
        return self.d_kept * (self.input_px // self.tile_px) ** 2

    def rate(self, epoch: int) -> float:
        """Learning rate after ``epoch`` epochs."""
        return self.learning_rate * self.decay ** (epoch // self.decay_every)


SMALL = Hist2STSettings(
    epochs=60,
    patience=25,
    learning_rate=1e-3,
    input_px=56,
    d_tile=16,
    d_kept=2,
    depth=2,
    n_heads=4,
    d_head=32,
    d_mlp=256,
    n_graph_layers=2,
    n_passes=1,
    zinb_weight=0.02,
)
"""For two cores; a network this narrow and this short a schedule want a far higher rate than the published one.

In so few steps the likelihood at its published weight hides the patches: it makes the part of a spot's row that all
spots share some ten times longer, while spots differ as little as before, and the prediction reads them relative to it.
"""

FEATURES_SMALL = SMALL.model_copy(update={"epochs": 48, "patience": 16, "learning_rate": 4e-3, "zinb_weight": 0.25})
"""The same on features, which weigh more in a row: the likelihood keeps its published weight."""
