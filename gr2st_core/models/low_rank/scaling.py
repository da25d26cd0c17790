"""Feature blocks on one scale, each block weighing the same whatever its width.

Belongs here: centre, spread and clipping, fitted on training sections. Does not belong here: which blocks there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CONSTANT = 1e-6
"""A feature whose spread is this small beside its largest value is constant but for rounding."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Features to deviations in units of the spread within sections.

    Attributes
    ----------
    centre
        Average of the training sections' means, float32 ``(width,)``.
    scale
        One over the pooled standard deviation within training sections, float32 ``(width,)``; 0 for a constant.
    clip
        Largest deviation.
    """

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    clip: float

    def __call__(self, features: Floats, centre: NDArray[np.floating] | None = None) -> Floats:
        """Deviations ``(n_spots, width)`` from ``centre``, by default that of training."""
        deviations = (features - (self.centre if centre is None else centre)) * self.scale
        return np.asarray(np.clip(deviations, -self.clip, self.clip, out=deviations))

    def within(self, features: Floats) -> Floats:
        """Deviations from the section's own mean."""
        return self(features, features.mean(axis=0))


def fit_scaling(sections: Sequence[Floats], clip: float) -> Scaling:
    """Measure centre and spread on the features of training sections, each ``(n_spots, width)``."""
    means = [rows.mean(axis=0) for rows in sections]
    squares = sum(((rows - mean) ** 2).sum(axis=0) for rows, mean in zip(sections, means, strict=True))
    spread = np.sqrt(squares / sum(len(rows) for rows in sections))
    largest = np.max([np.abs(rows).max(axis=0) for rows in sections], axis=0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > _CONSTANT * largest)
    return Scaling(np.mean(means, axis=0).astype(np.float32), scale.astype(np.float32), clip)


def block_weights(widths: Sequence[int]) -> Floats:
    """Factor of each column, shape ``(sum of widths,)``: products of such columns are means over equal blocks."""
    return np.concatenate([np.full(width, 1 / np.sqrt(width * len(widths))) for width in widths])
