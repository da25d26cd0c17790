"""A set of training sections, ready to be solved, and the linear map that its solutions make.

Belongs here: features and targets of sections side by side, prediction of one section under every setting, the mean of
several settings as one map. Does not belong here: which settings (``search``), storing (``fitted``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gr2st_core.models.blocks import Block, stack_blocks
from gr2st_core.models.low_rank.loadings import Loadings
from gr2st_core.models.low_rank.scaling import Scaling, block_weights, fit_scaling
from gr2st_core.models.low_rank.solver import Candidate, Solution, solve
from gr2st_core.models.low_rank.targets import TrainingTargets
from gr2st_core.predictor import FitRequest
from gr2st_core.types import ImageSection, TrainSection

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LinearMap:
    """Mean of several low-rank solutions, ``deviations @ coefficients @ genes`` in units of a gene's spread.

    Attributes
    ----------
    coefficients
        Float32 ``(width, n_directions)``.
    genes
        Float32 ``(n_directions, n_genes)``.
    """

    coefficients: NDArray[np.float32]
    genes: NDArray[np.float32]

    def __call__(self, deviations: Floats) -> Floats:
        """Standardised expression, ``(n_spots, n_genes)``."""
        return np.asarray(deviations @ self.coefficients.astype(np.float64) @ self.genes.astype(np.float64))


@dataclass(frozen=True, slots=True)
class Training:
    """Sections to learn from, scaled.

    Attributes
    ----------
    design
        Features as deviations from the mean of their section, columns weighed by block, ``(n_spots, width)``.
    column_weights
        Factors of those columns.
    shared
        Mean gene correlation of counts-only sections, or None.
    """

    blocks: tuple[Block, ...]
    widths: tuple[int, ...]
    scaling: Scaling
    column_weights: Floats
    design: Floats
    targets: TrainingTargets
    shared: Floats | None

    @classmethod
    def of(
        cls,
        sections: Sequence[TrainSection],
        blocks: tuple[Block, ...],
        request: FitRequest,
        clip: float,
        shared: Floats | None,
    ) -> Training:
        """Compute features and targets of sections that all have the encoders needed."""
        features, widths = zip(*(stack_blocks(s.image, blocks) for s in sections), strict=True)
        scaling, column_weights = fit_scaling(features, clip), block_weights(widths[0])
        design = np.concatenate([scaling.within(rows) for rows in features]) * column_weights
        targets = TrainingTargets.of(sections, request.panel, request.target)
        return cls(blocks, widths[0], scaling, column_weights, design, targets, shared)

    def solutions(self, candidates: Sequence[Candidate]) -> list[tuple[list[Candidate], Solution]]:
        """Solve every setting, sorted ones sharing their work."""
        n_directions: Mapping[float, int] = {
            share: max(c.n_loadings for c in candidates if c.shared == share)
            for share in {c.shared for c in candidates}
        }
        loadings = Loadings(self.targets, self.shared, n_directions)
        return list(solve(self.design @ self.design.T, self.targets, loadings, candidates))

    def predict_each(
        self, solutions: Sequence[tuple[list[Candidate], Solution]], section: ImageSection
    ) -> Iterator[Floats]:
        """Deviation from the training mean in target units under each setting, each ``(n_spots, n_genes)``."""
        features, _ = stack_blocks(section, self.blocks)
        kernel = (self.scaling(features) * self.column_weights) @ self.design.T
        for candidates, solution in solutions:
            scores = kernel @ solution.dual
            for rank in (candidate.rank for candidate in candidates):
                yield scores[:, :rank] @ solution.genes[:rank] * self.targets.spread

    def combine(self, candidates: Sequence[Candidate]) -> LinearMap:
        """Average settings, each scaled to the same spread of its fitted values."""
        parts = [
            (solution.dual[:, : candidate.rank], solution.genes[: candidate.rank], solution.spread(candidate.rank))
            for group, solution in self.solutions(sorted(candidates))
            for candidate in group
        ]
        typical = float(np.mean([spread for *_, spread in parts]))
        shares = [typical / (spread * len(parts)) if spread > 0 else 0.0 for *_, spread in parts]
        dual = np.concatenate([dual * share for (dual, *_), share in zip(parts, shares, strict=True)], axis=1)
        coefficients = self.column_weights[:, None] * (self.design.T @ dual)
        genes = np.concatenate([genes for _, genes, _ in parts])
        return LinearMap(coefficients.astype(np.float32), genes.astype(np.float32))
