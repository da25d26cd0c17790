"""One section of the synthetic cohort, in memory.

Belongs here: the spot grid, and tissue, image, rates and counts put together. Does not belong here: how each of them
is drawn, how they are written (``synthetic_files``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gr2st_core.cohorts.synthetic_counts import draw_counts, draw_depth, planted_rates
from gr2st_core.cohorts.synthetic_genes import Programmes
from gr2st_core.cohorts.synthetic_image import draw_stain, paint
from gr2st_core.cohorts.synthetic_tissue import draw_tissue
from gr2st_core.types import FloatArray

PITCH_UM = 200.0
_GRID = 13  # spots along a side, before those off the tissue are left out
_FIRST = 5  # grid position of the first spot, as real arrays have a frame
_MARGIN_PITCHES = 1.3  # keeps a patch of 309 um around every spot on the image
_SPOT_UM = 120.0  # a spot of 100 um and what diffuses in
_LEAST_TISSUE = 0.6
_MEDIAN_DEPTH = (3400.0, 1700.0, 6500.0, 2600.0)
_UM_PER_PX = (2.4, 1.8)  # first patient, others: as patient A of her2st, the first was scanned more coarsely
_N_WITHOUT_COUNTS = 2


@dataclass(frozen=True, slots=True)
class SyntheticSection:
    """A drawn section; all arrays but ``image`` have one row a spot.

    Attributes
    ----------
    array_xy, new_xy, pixel_xy
        Grid position, grid position as measured, image pixel.
    shares
        Share of each tissue in the spot.
    rates
        Planted share of each gene in the spot's molecules, rows sum to 1.
    counts
        Drawn molecules.
    has_counts
        False for spots whose row the count table lacks.
    is_listed
        Genes that the section's count table lists.
    """

    section_id: str
    patient_id: str
    genes: tuple[str, ...]
    image: NDArray[np.uint8]
    array_xy: NDArray[np.int64]
    new_xy: FloatArray
    pixel_xy: FloatArray
    shares: FloatArray
    rates: FloatArray
    counts: NDArray[np.int64]
    has_counts: NDArray[np.bool_]
    is_listed: NDArray[np.bool_]


def draw_section(
    section_id: str, patient_id: str, *, patient: int, section: int, programmes: Programmes, seed: int
) -> SyntheticSection:
    """Draw one section of one patient, given by number; other sections and patients have no influence."""

    def own(purpose: int) -> np.random.Generator:
        return np.random.default_rng([seed, purpose, patient, section + 1])

    def shared(purpose: int) -> np.random.Generator:
        return np.random.default_rng([seed, purpose, patient, 0])

    um_per_px = _UM_PER_PX[min(patient, 1)]
    size_px = int((_GRID - 1 + 2 * _MARGIN_PITCHES) * PITCH_UM / um_per_px)
    tissue = draw_tissue(size_px, um_per_px, shared(1), own(1))
    array_xy, new_xy, pixel_xy = _grid(um_per_px, size_px, own(2))
    shares, covered = tissue.shares(pixel_xy, _SPOT_UM)
    on_tissue = covered >= _LEAST_TISSUE
    array_xy, new_xy, pixel_xy, shares = array_xy[on_tissue], new_xy[on_tissue], pixel_xy[on_tissue], shares[on_tissue]
    rates = planted_rates(shares, programmes, shared(3))
    depth = draw_depth(shares, new_xy, _MEDIAN_DEPTH[patient % len(_MEDIAN_DEPTH)], own(4))
    counts = draw_counts(rates, depth, programmes.dispersion, own(5))
    rng = own(6)
    lost = rng.choice(len(counts), _N_WITHOUT_COUNTS + 1, replace=False)
    counts[lost[0]] = 0
    counts[lost[0], int(rates[lost[0]].argmax())] = 1  # real sections have a spot of one molecule
    return SyntheticSection(
        section_id=section_id,
        patient_id=patient_id,
        genes=programmes.genes,
        image=paint(tissue, size_px, draw_stain(shared(7), own(7)), own(8)),
        array_xy=array_xy,
        new_xy=new_xy,
        pixel_xy=pixel_xy,
        shares=shares,
        rates=rates,
        counts=counts,
        has_counts=~np.isin(np.arange(len(counts)), lost[1:]),
        is_listed=_listed(counts, rng),
    )


def _grid(um_per_px: float, size_px: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """Place spots: on the grid, as measured on the grid, in the slightly turned image."""
    steps = np.stack(np.meshgrid(np.arange(_GRID), np.arange(_GRID)), axis=-1).reshape(-1, 2)
    measured = steps + rng.normal(0.0, 0.06, steps.shape).clip(-0.3, 0.3)
    angle = rng.normal(0.0, 0.007)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    centred = measured - (_GRID - 1) / 2
    turned = np.stack([centred @ turn[:, axis] for axis in range(2)], axis=1)
    pixel_xy = size_px / 2 + turned * (PITCH_UM / um_per_px)
    return (steps + _FIRST).astype(np.int64), measured + _FIRST, pixel_xy


def _listed(counts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Leave out genes without a molecule, as real tables do, and now and then one with a few."""
    totals = counts.sum(axis=0)
    return np.asarray((totals > 0) & ~((totals < 10) & (rng.random(len(totals)) < 0.3)))
