"""Patch features on the scale of the training spots.

Belongs here: ``FeatureScaler``. Does not belong here: anything fitted on a query section.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import MissingArtifactError
from gr2st_core.models.blocks import Block, stack_blocks
from gr2st_core.models.linear import fit_projection
from gr2st_core.types import ImageSection, TrainSection


@dataclass(frozen=True, slots=True)
class FeatureScaler:
    """Standardise features, optionally rotate them onto the training spots' principal components.

    Attributes
    ----------
    blocks
        Concatenated in this order.
    mean, spread
        Of the training spots, float32 ``(d_raw,)``; a constant feature has spread 1.
    components
        float16 ``(d_raw, d_features)``, scaled so that the training scores have variance 1 on average; None keeps
        the standardised features.
    """

    blocks: tuple[Block, ...]
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    components: NDArray[np.float16] | None = None

    @classmethod
    def fit(cls, sections: Sequence[TrainSection], blocks: tuple[Block, ...], max_pcs: int) -> FeatureScaler:
        """Fit on all spots of the training sections; ``max_pcs`` 0 keeps the features as they are."""
        rows = np.concatenate([_stack(section.image, blocks) for section in sections])
        mean, spread = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
        spread[spread <= 1e-6 * np.abs(rows).max(axis=0)] = 1.0
        scaler = cls(blocks, mean.astype(np.float32), spread.astype(np.float32))
        if not 0 < max_pcs < rows.shape[1]:
            return scaler
        scaled = (rows - scaler.mean) / scaler.spread
        axes = fit_projection(scaled, max_pcs).basis
        axes = axes / np.sqrt((scaled @ axes).var(axis=0).mean())
        return cls(blocks, scaler.mean, scaler.spread, axes.astype(np.float16))

    @property
    def d_features(self) -> int:
        """Width of what ``transform`` returns."""
        return len(self.mean) if self.components is None else self.components.shape[1]

    def transform(self, section: ImageSection) -> NDArray[np.float32]:
        """Features of a section as the network reads them, float32 ``(n_spots, d_features)``.

        Raises
        ------
        MissingArtifactError
            An encoder's features are absent, or of another width than in training.
        """
        rows = _stack(section, self.blocks)
        if rows.shape[1] != len(self.mean):
            raise MissingArtifactError(
                "patch features have another width than in training",
                section=str(section.key),
                expected=len(self.mean),
                found=rows.shape[1],
            )
        scaled: NDArray[np.float32] = (rows - self.mean) / self.spread
        return scaled if self.components is None else scaled @ self.components.astype(np.float32)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays to store."""
        arrays: dict[str, NDArray[Any]] = {"mean": self.mean, "spread": self.spread}
        return arrays if self.components is None else {**arrays, "components": self.components}

    @classmethod
    def from_arrays(cls, blocks: tuple[Block, ...], arrays: Mapping[str, NDArray[Any]]) -> FeatureScaler:
        """Restore a stored scaler."""
        return cls(blocks, arrays["mean"], arrays["spread"], arrays.get("components"))


def _stack(section: ImageSection, blocks: Sequence[Block]) -> NDArray[np.float32]:
    return stack_blocks(section, blocks)[0].astype(np.float32)
