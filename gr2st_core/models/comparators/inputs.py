"""A section as the comparators' networks read it.

Belongs here: tensors of what a query has and of what training adds. Does not belong here: where spots' pixels or
features come from (``sources``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gr2st_core.expression.targets import to_target
from gr2st_core.keys import Target
from gr2st_core.models.gr2st_published.batch import table_rows
from gr2st_core.types import ImageSection, Panel, TrainSection


@dataclass(frozen=True, slots=True)
class SectionInputs:
    """What a network sees of a section; rows are its spots.

    Attributes
    ----------
    spots
        Patches, uint8 ``(n_spots, 3, input_px, input_px)``, or standardised features, float32
        ``(n_spots, d_features)``: see ``sources``.
    grid
        Column and row of the position tables, int64 ``(n_spots, 2)``.
    pitch_xy
        Spot centres in units of the spot pitch, float32 ``(n_spots, 2)``.
    """

    spots: Tensor
    grid: Tensor
    pitch_xy: Tensor

    @classmethod
    def of(cls, section: ImageSection, spots: Tensor, n_positions: int) -> SectionInputs:
        """Put the rows of a section beside where they lie."""
        return cls(
            spots,
            table_rows(section.array_xy, n_positions),
            torch.from_numpy(section.pitch_xy.astype(np.float32)),
        )

    def rows(self, index: Tensor) -> SectionInputs:
        """The chosen spots, in the order of int64 ``index``."""
        return SectionInputs(self.spots[index], self.grid[index], self.pitch_xy[index])

    def to(self, device: torch.device) -> SectionInputs:
        """Move all tensors."""
        return SectionInputs(self.spots.to(device), self.grid.to(device), self.pitch_xy.to(device))


@dataclass(frozen=True, slots=True)
class SectionTruth:
    """What training knows of a section beside that.

    Attributes
    ----------
    expression
        In the target that is predicted, float32 ``(n_spots, n_genes)``.
    counts
        Raw molecules of the panel's genes, float32 ``(n_spots, n_genes)``.
    size_factors
        Panel molecules of a spot over the section's median, float32 ``(n_spots,)``; a spot without any counts as if it
        had one, so that all are above 0.
    """

    expression: Tensor
    counts: Tensor
    size_factors: Tensor

    @classmethod
    def of(cls, section: TrainSection, panel: Panel, target: Target) -> SectionTruth:
        """Read the counts of a training section."""
        counts = section.counts.of(panel).astype(np.float32)
        totals = np.maximum(counts.sum(axis=1), 1.0)
        return cls(
            torch.from_numpy(to_target(section.counts, panel, target)),
            torch.from_numpy(counts),
            torch.from_numpy(totals / np.float32(np.median(totals))),
        )

    def rows(self, index: Tensor) -> SectionTruth:
        """The chosen spots, in the order of int64 ``index``."""
        return SectionTruth(self.expression[index], self.counts[index], self.size_factors[index])

    def to(self, device: torch.device) -> SectionTruth:
        """Move all tensors."""
        return SectionTruth(self.expression.to(device), self.counts.to(device), self.size_factors.to(device))
