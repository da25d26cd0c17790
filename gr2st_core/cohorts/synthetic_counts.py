"""Counts of the synthetic cohort: planted rates from tissue, and molecules drawn from them.

Belongs here: the link from tissue shares to rates, sequencing depth, the draw. Does not belong here: tissue maps,
gene programmes, files.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from gr2st_core.cohorts.synthetic_genes import Programmes
from gr2st_core.types import FloatArray

_RNA_CONTENT = np.array([1.5, 0.7, 1.1, 0.25, 0.8])  # per area of tissue, in the order of TISSUES
_PATIENT_OFFSET_SD = 0.3  # natural log, per gene and patient
_DEPTH_FIELD_SD = 0.45  # natural log
_DEPTH_FIELD_PITCHES = 3.0
_DEPTH_SPOT_SD = 0.15


def planted_rates(shares: FloatArray, programmes: Programmes, patient: np.random.Generator) -> FloatArray:
    """Compute the share of each gene in a spot's molecules that its tissue implies.

    Parameters
    ----------
    shares
        Share of each tissue in the spots, ``(n_spots, n_tissues)``, rows sum to 1.
    patient
        Source of the patient's own level of each gene; give sections of a patient a generator of the same seed.

    Returns
    -------
    Shape ``(n_spots, n_genes)``, rows sum to 1.

    Notes
    -----
    A spot's RNA is the sum of what its tissues hold; the link is the same in all patients but for the offset.
    """
    offset = np.exp(patient.normal(0.0, _PATIENT_OFFSET_SD, len(programmes.genes)))
    # einsum sums in one fixed order, whatever linear algebra library is installed.
    rates = np.einsum("st,tg->sg", shares * _RNA_CONTENT, programmes.profiles) * offset
    return np.asarray(rates / rates.sum(axis=1, keepdims=True), dtype=np.float64)


def draw_depth(shares: FloatArray, array_xy: FloatArray, median: float, section: np.random.Generator) -> FloatArray:
    """Draw the expected molecules of each spot: RNA of its tissue times a smooth field times the spot's own luck."""
    content = np.einsum("st,t->s", shares, _RNA_CONTENT)
    covariance = np.exp(-((cdist(array_xy, array_xy) / _DEPTH_FIELD_PITCHES) ** 2) / 2)
    weights = covariance / np.sqrt((covariance**2).sum(axis=1, keepdims=True))
    field = np.einsum("sn,n->s", weights, section.standard_normal(len(array_xy)))
    log_depth = np.log(content) + _DEPTH_FIELD_SD * field + section.normal(0.0, _DEPTH_SPOT_SD, len(array_xy))
    return np.asarray(median * np.exp(log_depth - np.median(log_depth)), dtype=np.float64)


def draw_counts(
    rates: FloatArray, depth: FloatArray, dispersion: FloatArray, section: np.random.Generator
) -> NDArray[np.int64]:
    """Draw negative binomial counts of mean ``depth * rates`` and variance ``mean + dispersion * mean^2``."""
    noise = section.gamma(1.0 / dispersion, dispersion, rates.shape)
    return np.asarray(section.poisson(depth[:, None] * rates * noise), dtype=np.int64)
