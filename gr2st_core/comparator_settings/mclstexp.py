"""Settings of mclSTExp."""

from __future__ import annotations

from pydantic import Field

from gr2st_core.comparator_settings.base import ComparatorSettings


class MclStExpSettings(ComparatorSettings):
    """mclSTExp; defaults as published (field.md 1.5), the image encoder ImageNet's DenseNet121."""

    epochs: int = Field(90, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(1e-3, ge=0)
    batch_spots: int = Field(128, ge=2, description="most spots of a section in one step")
    input_px: int = Field(224, ge=32, description="side of a patch in pixels; it spans 154 um")
    growth_rate: int = Field(32, ge=1, description="channels that each layer of the image encoder adds")
    block_config: tuple[int, ...] = Field((6, 12, 24, 16), min_length=1, description="layers of its dense blocks")
    n_init_features: int = Field(64, ge=1, description="channels of its first convolution")
    image_weights: str | None = Field(
        None, description="safetensors file that the image encoder starts from; None: random weights"
    )
    jitter: float = Field(0.5, ge=0, le=1, description="most that brightness, contrast and saturation change, +-")
    rotation: float = Field(180.0, ge=0, le=180, description="most that a patch is turned in training, degrees, +-")
    d_embedding: int = Field(256, ge=8)
    depth: int = Field(2, ge=1, description="attention blocks over spots' expression; as wide as the panel")
    n_heads: int = Field(8, ge=1)
    d_head: int = Field(64, ge=1)
    dropout: float = Field(
        0.0, ge=0, lt=1, description="in attention blocks and projections, which have it at no known rate"
    )
    temperature: float = Field(1.0, gt=0, description="divides contrastive logits")
    top_k: int = Field(200, ge=1, description="reference spots averaged per query spot")
    distance_floor: float = Field(
        1e-8, gt=0, description="added to squared L1 distances, so that no weight is infinite"
    )


SMALL = MclStExpSettings(
    epochs=40,
    patience=12,
    learning_rate=1e-3,
    input_px=48,
    growth_rate=16,
    block_config=(1, 2, 4),
    n_init_features=8,
    jitter=0.1,
    d_embedding=128,
    depth=1,
    n_heads=4,
    d_head=32,
)
"""For two cores."""

FEATURES_SMALL = SMALL.model_copy(update={"epochs": 24, "patience": 8})
"""The same on features."""
