"""Tissue of the synthetic cohort: which tissue is where.

Belongs here: maps of tissue classes, spatially smooth, alike in sections of one patient. Does not belong here: how
tissue looks (``synthetic_image``), what it expresses (``synthetic_counts``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom
from scipy.special import log_ndtr, softmax

from gr2st_core.types import BoolArray, FloatArray

TISSUES = ("tumour", "stroma", "immune", "fat", "vessel")
"""Classes of the map, in the order of every ``n_tissues`` axis."""

CELL_PX = 2
"""Image pixels along a side of one cell of the map."""

_LEVELS = np.array([0.9, 0.7, -0.2, -0.6, -1.3])  # her2st labels: mostly tumour and connective tissue (data.md 8)
_CONTRAST = 2.2  # makes spots of one tissue as common as mixed ones
_REGION_UM = 420.0  # tissue regions span a few spots
_PATCH_UM = (22.0, 24.0, 16.0, 55.0, 22.0)  # nests and strands of a few cells; vacuoles are larger
_SHARED = 0.7  # correlation of the regions of two sections of a patient


@dataclass(frozen=True, slots=True)
class TissueMap:
    """Tissue of one section on square cells of ``CELL_PX`` image pixels.

    Attributes
    ----------
    classes
        Index into ``TISSUES``, shape ``(n, n)``.
    is_tissue
        False on bare glass, shape ``(n, n)``.
    um_per_px
        Micrometres per image pixel.
    """

    classes: NDArray[np.int8]
    is_tissue: BoolArray
    um_per_px: float

    def shares(self, pixel_xy: FloatArray, diameter_um: float) -> tuple[FloatArray, FloatArray]:
        """Measure what lies in a disc around each point.

        Returns
        -------
        Share of each class in the disc's tissue, ``(n_points, n_tissues)``, and share of tissue in the disc,
        ``(n_points,)``. The disc must lie in the map.
        """
        reach = round(diameter_um / 2 / self.um_per_px / CELL_PX)
        rows, columns = np.nonzero(np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= reach)
        centre = np.rint(pixel_xy / CELL_PX).astype(np.intp)
        y = centre[:, 1, None] + rows - reach
        x = centre[:, 0, None] + columns - reach
        classes, is_tissue = self.classes[y, x], self.is_tissue[y, x]
        counts = np.stack([((classes == k) & is_tissue).sum(axis=1) for k in range(len(TISSUES))], axis=1)
        covered = counts.sum(axis=1)
        return counts / np.maximum(covered, 1)[:, None], covered / len(rows)


def smooth_noise(shape: tuple[int, int], length: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw Gaussian noise of mean 0 and variance 1 whose features are ``length`` cells wide."""
    step = max(1, int(length / 4))
    coarse = rng.standard_normal([-(-n // step) + 2 for n in shape], dtype=np.float32)
    blurred = gaussian_filter(coarse, length / 2 / step, mode="wrap")
    full = zoom(blurred, step, order=1)[: shape[0], : shape[1]] if step > 1 else blurred[: shape[0], : shape[1]]
    return np.asarray((full - full.mean()) / full.std(), dtype=np.float32)


def draw_tissue(
    size_px: int, um_per_px: float, patient: np.random.Generator, section: np.random.Generator
) -> TissueMap:
    """Draw the tissue of one section.

    Parameters
    ----------
    size_px
        Width and height of the section's image.
    patient
        Source of what the patient's sections share; give each of them a generator of the same seed.
    section
        Source of what is the section's own.

    Notes
    -----
    Regions are smooth fields, one a class, turned to shares by a softmax. Adding smooth Gumbel noise and taking the
    largest class gives patches that cover just those shares of the area.
    """
    n = -(-size_px // CELL_PX)
    cell_um = um_per_px * CELL_PX
    levels = _LEVELS + patient.normal(0.0, 0.35, len(TISSUES))
    regions = np.stack([_region(n, cell_um, patient, section) for _ in TISSUES])
    shares = softmax(levels[:, None, None] + _CONTRAST * regions, axis=0)
    patches = np.stack([smooth_noise((n, n), patch_um / cell_um, section) for patch_um in _PATCH_UM])
    gumbel = -np.log(-log_ndtr(patches))
    classes = np.argmax(np.log(shares) + gumbel, axis=0).astype(np.int8)
    rim = smooth_noise((n, n), 600.0 / cell_um, section)
    radius = np.hypot(*np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j])
    return TissueMap(classes, radius < 0.92 + 0.05 * rim, um_per_px)


def _region(n: int, cell_um: float, patient: np.random.Generator, section: np.random.Generator) -> NDArray[np.float32]:
    shared = smooth_noise((n, n), _REGION_UM / cell_um, patient)
    own = smooth_noise((n, n), _REGION_UM / cell_um, section)
    return np.asarray(np.sqrt(_SHARED) * shared + np.sqrt(1 - _SHARED) * own, dtype=np.float32)
