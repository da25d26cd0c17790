"""Noise ceiling: the correlation that a predictor of the true rates would reach.

Belongs here: reliability of measured expression under counting noise. Does not belong here: scores of predictions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gr2st_core.evaluation.metrics import column_means_of_defined, mean_of_defined, pearson_per_gene
from gr2st_core.evaluation.oracle import log_depth
from gr2st_core.expression.depth import binomial_halves
from gr2st_core.expression.targets import to_target
from gr2st_core.keys import Target
from gr2st_core.types import Counts, Panel

Floats = NDArray[np.float64]

_ELSEWHERE = "molecules of genes outside the panel"


@dataclass(frozen=True, slots=True)
class NoiseCeiling:
    """Mean over genes of the square root of the measurement's reliability.

    Attributes
    ----------
    raw
        Of the expression as it is.
    given_depth
        Of what log panel depth does not explain.
    n_undefined
        Genes that are constant in one half of every thinning; in neither mean.
    """

    raw: float
    given_depth: float
    n_undefined: int


def noise_ceiling(counts: Counts, panel: Panel, target: Target, *, n_thinnings: int, seed: int = 0) -> NoiseCeiling:
    """Bound the correlation with one section's measured expression.

    Parameters
    ----------
    counts
        All genes of the section; molecules outside the panel count towards the depth that ``cp10k`` divides by.
    n_thinnings
        Random divisions into halves, whose half-half correlations are averaged gene by gene.

    Notes
    -----
    Each molecule goes to either half with probability one half and the target is computed on each. A gene's mean
    half-half correlation r is corrected to full depth by Spearman and Brown, R = 2r / (1 + r); its ceiling is sqrt(R),
    and 0 for a negative r. ``given_depth`` takes r given the log panel molecules of the whole section. Counting noise
    only: no image model need be able to come near.

    It errs upwards. At a few molecules a gene, the logarithm of the whole is noisier than the mean of its halves'
    logarithms, which the correction assumes: some hundredths. And since negatives become 0 before the root, n spots of
    pure noise show about 0.58 / n^(1/4), 0.16 on 180 spots.
    """
    rng = np.random.default_rng(seed)
    compact = _with_one_column_elsewhere(counts, panel)
    depth = log_depth(counts.of(panel))
    raw, given = [], []
    for _ in range(n_thinnings):
        halves = [to_target(half, panel, target) for half in _halves(compact, rng)]
        raw.append(pearson_per_gene(*halves))
        residual = pearson_per_gene(*(_unexplained(half, depth) for half in halves))
        # Residuals of a constant gene are rounding errors, whose correlation means nothing.
        given.append(np.where(np.isnan(raw[-1]), np.nan, residual))
    ceilings = _ceilings(raw)
    return NoiseCeiling(mean_of_defined(ceilings), mean_of_defined(_ceilings(given)), int(np.isnan(ceilings).sum()))


def _with_one_column_elsewhere(counts: Counts, panel: Panel) -> Counts:
    inside = counts.of(panel)
    elsewhere = counts.totals() - inside.sum(axis=1)
    return Counts(sparse.csr_matrix(np.column_stack([inside, elsewhere])), (*panel.genes, _ELSEWHERE))


def _halves(counts: Counts, rng: np.random.Generator) -> list[Counts]:
    whole = counts.matrix
    parts = binomial_halves(whole.data, rng)
    return [Counts(sparse.csr_matrix((part, whole.indices, whole.indptr), whole.shape), counts.genes) for part in parts]


def _unexplained(values: NDArray[np.float32], depth: Floats) -> Floats:
    """Residual of each column after its least-squares line in ``depth``."""
    centred = values - values.mean(axis=0, dtype=np.float64)
    line = depth - depth.mean()
    spread = line @ line
    return np.asarray(centred - np.outer(line, line @ centred / spread) if spread > 0 else centred)


def _ceilings(correlations: list[Floats]) -> Floats:
    r = np.clip(column_means_of_defined(correlations), 0.0, 1.0)
    return np.asarray(np.sqrt(2 * r / (1 + r)))
