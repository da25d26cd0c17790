"""Feature blocks as the network reads them: on the scale of the training sections, on their principal components.

Belongs here: ``BlockScaler``. Does not belong here: centre and spread of blocks (``low_rank.scaling``), anything
fitted on a query section.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.models.blocks import Block, stack_blocks
from gr2st_core.models.linear import principal_axes, require_width
from gr2st_core.models.low_rank.scaling import Scaling, block_weights, fit_scaling
from gr2st_core.types import ImageSection, TrainSection

CLIP = 8.0
"""Features are cut at this many standard deviations."""

_LEAST_SPREAD = 1e-9
"""Of the first component, where all features are constant."""


@dataclass(frozen=True, slots=True)
class BlockScaler:
    """Deviations from a centre, blocks weighing the same, rotated onto principal components.

    Attributes
    ----------
    blocks
        In the order of the columns.
    scaling
        Centre and spread within sections of each column.
    weights
        Factor of each column after scaling, float32 ``(d_raw,)``: blocks count the same, and the first component of
        the training spots has variance 1.
    components
        Orthonormal columns, float16 ``(d_raw, d_features)``, largest variance first.
    """

    blocks: tuple[Block, ...]
    scaling: Scaling
    weights: NDArray[np.float32]
    components: NDArray[np.float16]

    @classmethod
    def fit(cls, sections: Sequence[TrainSection], blocks: tuple[Block, ...], max_pcs: int) -> BlockScaler:
        """Fit on the training sections, each centred on itself: slides differ in stain, which is no pattern."""
        stacked, widths = zip(*(stack_blocks(section.image, blocks) for section in sections), strict=True)
        scaling, weights = fit_scaling(stacked, CLIP), block_weights(widths[0])
        design = np.concatenate([scaling.within(rows) for rows in stacked]) * weights
        axes = principal_axes(design, max_pcs)
        first = max(float((design @ axes[:, :1]).std()), _LEAST_SPREAD)
        return cls(blocks, scaling, (weights / first).astype(np.float32), axes.astype(np.float16))

    @property
    def d_features(self) -> int:
        """Width of what ``transform`` and ``within`` return."""
        return int(self.components.shape[1])

    def transform(self, section: ImageSection) -> NDArray[np.float32]:
        """Features around the training centre, float32 ``(n_spots, d_features)``: other spots do not move a spot's.

        Raises
        ------
        MissingArtifactError
            An encoder's features are absent, or of another width than in training.
        """
        return self._rotated(self.scaling(self._stacked(section)))

    def within(self, section: ImageSection) -> NDArray[np.float32]:
        """Features around the section's own mean, as training sections are read; shape of ``transform``."""
        return self._rotated(self.scaling.within(self._stacked(section)))

    def _rotated(self, deviations: NDArray[np.float64]) -> NDArray[np.float32]:
        return (deviations * self.weights).astype(np.float32) @ self.components.astype(np.float32)

    def _stacked(self, section: ImageSection) -> NDArray[np.float64]:
        rows, _ = stack_blocks(section, self.blocks)
        require_width(section, rows, len(self.weights))
        return rows

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays to store."""
        scaling = self.scaling
        own = {"centre": scaling.centre, "scale": scaling.scale, "weights": self.weights}
        return {**own, "components": self.components}

    @classmethod
    def from_arrays(cls, blocks: tuple[Block, ...], arrays: Mapping[str, NDArray[Any]]) -> BlockScaler:
        """Restore a stored scaler."""
        scaling = Scaling(arrays["centre"], arrays["scale"], CLIP)
        return cls(blocks, scaling, arrays["weights"], arrays["components"])
