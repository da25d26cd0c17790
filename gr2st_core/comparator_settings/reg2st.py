"""Settings of Reg2ST."""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from gr2st_core.comparator_settings.base import ComparatorSettings


class Reg2STSettings(ComparatorSettings):
    """Reg2ST; defaults of its tutorial (field.md 1.6)."""

    epochs: int = Field(400, ge=1, description="most epochs of the inner run, and where the rate's cosine ends")
    learning_rate: float = Field(1e-4, gt=0, description="at the end of the warm-up")
    first_rate: float = Field(1e-5, gt=0, description="learning rate at the start of the warm-up")
    last_rate: float = Field(1e-6, gt=0, description="learning rate at the end of the cosine")
    warm_up_epochs: int = Field(10, ge=0)
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decay; unpublished, so that of PyTorch")
    d_model: int = Field(256, ge=8, description="a multiple of n_heads; 1024 where the published code is told nothing")
    d_hidden: int = Field(1024, ge=8, description="hidden width of the image and the gene network and of the head")
    depth: int = Field(6, ge=1, description="cross-attention layers")
    n_heads: int = Field(8, ge=1)
    d_mlp: int = Field(1024, ge=8, description="hidden width within a cross-attention layer")
    dropout: float = Field(0.2, ge=0, lt=1)
    n_neighbours: int = Field(6, ge=1, description="spots that a spot is joined with in the dynamic graph")
    contrast_weight: float = Field(0.5, ge=0)
    gene_space_weight: float = Field(1.0, ge=0)
    zinb_weight: float = Field(0.25, ge=0)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Reg2STSettings:
        if self.d_model % self.n_heads:
            raise ValueError("d_model must be a multiple of n_heads")
        return self

    def rate(self, epoch: int) -> float:
        """Learning rate after ``epoch`` epochs: a straight rise, then half a cosine down to the last of ``epochs``."""
        if epoch < self.warm_up_epochs:
            return self.first_rate + (self.learning_rate - self.first_rate) * epoch / self.warm_up_epochs
        done = (epoch - self.warm_up_epochs) / max(1, self.epochs - self.warm_up_epochs)
        return self.last_rate + (self.learning_rate - self.last_rate) * (1 + math.cos(math.pi * done)) / 2


SMALL = Reg2STSettings(
    epochs=55,
    patience=15,
    learning_rate=3e-3,
    first_rate=5e-4,
    last_rate=1e-4,
    warm_up_epochs=2,
    d_model=128,
    d_hidden=128,
    depth=1,
    n_heads=4,
    d_mlp=128,
)
"""For two cores."""
