"""Paired hierarchical bootstrap: how sure the difference between two methods is.

Belongs here: scores of methods under common draws of patients, sections, blocks of spots and genes, their differences,
intervals and p-values. Does not belong here: the draws (``resampling``), corrections for many comparisons
(``multiplicity``).

The score is the mean over genes of the Pearson correlation over spots, a constant prediction counting 0 and a gene of
constant truth left out for all methods alike; then the mean over sections, as on the scoreboard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import AlignmentError, SchemaError
from gr2st_core.evaluation.metrics import is_constant, pearson_per_gene, require_aligned, zero_filled
from gr2st_core.evaluation.resampling import MIN_PATIENTS, draw_counts, section_counts, stream
from gr2st_core.keys import SectionKey

Floats = NDArray[np.float64]

_DRAWS_AT_ONCE = 250  # 250 x 785 numbers a matrix: 1.6 MB, which stays in the cache
_FLAT = 1e-12  # share of a gene's variance below which a draw has made it constant


@dataclass(frozen=True, slots=True)
class DrawnScores:
    """Scores of one section under every draw.

    Attributes
    ----------
    measured
        Score of each method on the section as it is; NaN if no gene is defined.
    draws
        The same under each draw, shape ``(n_draws,)`` each.
    """

    key: SectionKey
    patient_id: str
    measured: Mapping[str, float]
    draws: Mapping[str, Floats]


def draw_scores(
    key: SectionKey,
    patient_id: str,
    observed: NDArray[np.floating],
    predicted: Mapping[str, NDArray[np.floating]],
    *,
    blocks: NDArray[np.integer],
    gene_draws: Floats,
    seed: int,
) -> DrawnScores:
    """Score every method on one section, as it is and under draws of its blocks and of the genes.

    Parameters
    ----------
    observed, predicted
        Truth and each method's prediction, aligned, shape ``(n_spots, n_genes)``.
    blocks
        Of each spot, from ``spatial_blocks``.
    gene_draws
        How often each gene is drawn, shape ``(n_draws, n_genes)``; the same for all sections.
    seed
        Of the draws of blocks, which are this section's own.

    Raises
    ------
    AlignmentError, NonFiniteError

    Notes
    -----
    A draw weighs whole blocks, so sums over its spots are products of the draws with sums over blocks: the spots are
    gone through once a method, whatever the number of draws.
    """
    if blocks.shape != (len(observed),) or gene_draws.shape[1] != observed.shape[1]:
        raise AlignmentError("a block a spot and draws of every gene", section=str(key), found=blocks.shape)
    block_draws = draw_counts(int(blocks.max()) + 1, len(gene_draws), stream(seed, "blocks", str(key)))
    measured, draws = {}, {}
    for name, guess in predicted.items():
        truth, values = require_aligned(observed, guess)
        known = ~is_constant(truth)
        filled = zero_filled(pearson_per_gene(truth, values), ~known)[known]
        measured[name] = float(filled.mean()) if filled.size else float("nan")
        flat = is_constant(values[:, known])
        sums = _BlockSums.of(truth[:, known], np.where(flat, 0.0, values[:, known]), blocks)
        draws[name] = _drawn_means(sums, block_draws, gene_draws[:, known])
    return DrawnScores(key, patient_id, measured, draws)


@dataclass(frozen=True, slots=True)
class _BlockSums:
    """Sums over the spots of each block: of truth t, prediction p, their squares and product; ``(n_blocks, n_genes)``.

    Both are centred on their section means first, so that the small differences of large sums stay exact.
    """

    n: Floats
    t: Floats
    p: Floats
    tt: Floats
    pp: Floats
    tp: Floats

    @classmethod
    def of(cls, truth: Floats, guess: Floats, blocks: NDArray[np.integer]) -> _BlockSums:
        t, p = truth - truth.mean(axis=0), guess - guess.mean(axis=0)
        order = np.argsort(blocks, kind="stable")
        starts = np.flatnonzero(np.diff(blocks[order], prepend=-1))

        def total(values: Floats) -> Floats:
            return np.asarray(np.add.reduceat(values[order], starts, axis=0))

        return cls(total(np.ones(len(blocks))), total(t), total(p), total(t * t), total(p * p), total(t * p))


def _drawn_means(sums: _BlockSums, block_draws: Floats, gene_draws: Floats) -> Floats:
    """Mean correlation over the drawn genes, shape ``(n_draws,)``; NaN where a draw leaves no gene defined."""
    spread_t, spread_p = sums.tt.sum(axis=0), sums.pp.sum(axis=0)
    means = np.full(len(block_draws), np.nan)
    for start in range(0, len(block_draws), _DRAWS_AT_ONCE):
        part = slice(start, start + _DRAWS_AT_ONCE)
        w = block_draws[part]
        n = (w @ sums.n)[:, None]
        t, p = w @ sums.t, w @ sums.p
        var_t, var_p = w @ sums.tt - t * t / n, w @ sums.pp - p * p / n
        is_known, is_flat = var_t > _FLAT * spread_t, var_p <= _FLAT * spread_p
        r = np.zeros_like(var_t)
        np.divide(w @ sums.tp - t * p / n, np.sqrt(np.abs(var_t * var_p)), out=r, where=is_known & ~is_flat)
        counted = gene_draws[part] * is_known
        total = counted.sum(axis=1)
        np.divide((counted * r).sum(axis=1), total, out=means[part], where=total > 0)
    return means


@dataclass(frozen=True, slots=True)
class Difference:
    """First method minus second, mean over sections.

    Attributes
    ----------
    difference
        As measured.
    low, high
        Percentile interval.
    p_value
        Two-sided, that the difference is 0; at least 2 / (n_draws + 1).
    sections_above
        Sections in which the first method is better.
    is_population
        Whether patients and sections were drawn too. If not, the interval tells how the difference would vary with
        other spots and genes of these sections, and nothing about other patients.
    """

    difference: float
    low: float
    high: float
    p_value: float
    n_sections: int
    n_patients: int
    sections_above: int
    is_population: bool

    @property
    def scope(self) -> str:
        """What the interval speaks of, in words."""
        return "patients of this kind" if self.is_population else "describes these sections only"


def compare(
    sections: Sequence[DrawnScores], first: str, second: str, *, seed: int, confidence: float = 0.95
) -> Difference:
    """Compare two methods on sections that both predicted, draw by draw.

    Parameters
    ----------
    sections
        In any order; a section in which nothing is defined is left out.
    seed
        Of the draws of patients and sections.
    confidence
        Of the interval.

    Raises
    ------
    SchemaError
        No section, or one given twice.

    Notes
    -----
    With fewer than ``MIN_PATIENTS`` patients these and their sections are fixed, and blocks and genes alone vary. Genes
    and spots are crossed, and drawing both counts their noise twice, so intervals are rather too wide (Owen 2007, The
    pigeonhole bootstrap). Few sections of few patients make those of a population too narrow: six is no large number.
    """
    used = sorted((s for s in sections if not np.isnan(s.measured[first])), key=lambda s: s.key)
    if not used or len({s.key for s in used}) < len(used):
        raise SchemaError("a comparison needs sections, each once", found=[str(s.key) for s in used])
    people = [f"{s.key.cohort}/{s.patient_id}" for s in used]
    measured = np.array([s.measured[first] - s.measured[second] for s in used])
    drawn = np.stack([s.draws[first] - s.draws[second] for s in used], axis=1)
    weights = section_counts(people, len(drawn), seed) * ~np.isnan(drawn)
    totals = weights.sum(axis=1)
    differences = (weights * np.nan_to_num(drawn)).sum(axis=1)[totals > 0] / totals[totals > 0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(differences, [tail, 1 - tail]) if differences.size else (np.nan, np.nan)
    n_patients = len(set(people))
    return Difference(
        float(measured.mean()),
        float(low),
        float(high),
        two_sided_p(differences),
        len(used),
        n_patients,
        int((measured > 0).sum()),
        n_patients >= MIN_PATIENTS,
    )


def two_sided_p(differences: Floats) -> float:
    """Twice the smaller share of draws on either side of 0, the measured sample counted among the draws."""
    below, above = int((differences <= 0).sum()), int((differences >= 0).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (len(differences) + 1))
