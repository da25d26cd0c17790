"""How the tissue of the synthetic cohort looks under H&E.

Belongs here: nuclei, fibres, vacuoles, lumina and stain of an image painted from a tissue map. Does not belong here:
which tissue is where (``synthetic_tissue``), files.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from gr2st_core.cohorts.synthetic_tissue import CELL_PX, TissueMap, smooth_noise
from gr2st_core.types import BoolArray, FloatArray

# In the order of TISSUES: optical density between nuclei, and nuclei: number per mm2, half axes in um.
_HAEMATOXYLIN = np.array([0.20, 0.04, 0.12, 0.00, 0.03], dtype=np.float32)
_EOSIN = np.array([0.34, 0.46, 0.16, 0.03, 0.80], dtype=np.float32)
_NUCLEI_PER_MM2 = np.array([4200, 900, 9500, 120, 1300])
_NUCLEUS_LONG_UM = np.array([5.2, 6.5, 3.2, 4.5, 5.0])
_NUCLEUS_SHORT_UM = np.array([4.3, 1.9, 3.0, 1.6, 2.0])
_TUMOUR, _STROMA, _FAT = 0, 1, 3

# Optical density of each dye in red, green and blue (Ruifrok & Johnston 2001, rounded).
_DYES = np.array([[0.65, 0.70, 0.29], [0.14, 0.88, 0.38]])
_WHITE = 243.0
_BLUR_PX = 3
_CAMERA_NOISE = np.float32(2.0)
_FIBRE_UM = 12.6
_LUMEN_LEVEL = 1.75  # standard deviations: a twentieth of tumour is lumen
_VACUOLE_UM = 55.0
_WALL_LEVEL = -0.9  # the honeycomb wave runs from -1.5 at its corners to 3 in the vacuoles

_Cell = TypeVar("_Cell", bound=np.generic)


def draw_stain(patient: np.random.Generator, section: np.random.Generator) -> FloatArray:
    """Draw a stain: patients differ in hue and strength, sections of a patient slightly.

    Returns
    -------
    Optical density of haematoxylin and eosin in red, green and blue, shape ``(2, 3)``.
    """
    hue = patient.normal(0.0, 0.045, (2, 3)) + section.normal(0.0, 0.012, (2, 3))
    strength = np.exp(patient.normal(0.0, 0.12, (2, 1)) + section.normal(0.0, 0.03, (2, 1)))
    return np.asarray(np.maximum(_DYES + hue, 0.03) * strength, dtype=np.float64)


def paint(tissue: TissueMap, size_px: int, stain: FloatArray, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Paint the H&E image of a tissue map, RGB, shape ``(size_px, size_px, 3)``; ``stain`` as of ``draw_stain``."""
    classes = _to_pixels(tissue.classes, size_px)
    is_tissue = _to_pixels(tissue.is_tissue, size_px)
    texture = _texture(tissue, size_px, rng)
    membranes = _to_pixels(_membranes(tissue, rng), size_px)
    nuclei = _nuclei(classes, is_tissue, tissue.um_per_px, rng)
    haematoxylin = np.maximum(uniform_filter(_HAEMATOXYLIN[classes] * texture, _BLUR_PX), nuclei)
    eosin = uniform_filter(_EOSIN[classes] * texture + membranes, _BLUR_PX) * (1.0 - 0.5 * nuclei)
    haematoxylin *= is_tissue
    eosin *= is_tissue
    image = np.empty((size_px, size_px, 3), dtype=np.uint8)
    for channel, (h_density, e_density) in enumerate(stain.T.astype(np.float32)):
        light = np.float32(_WHITE) * np.exp(-h_density * haematoxylin - e_density * eosin)
        light += _CAMERA_NOISE * rng.standard_normal(light.shape, dtype=np.float32)
        image[..., channel] = np.rint(light).clip(0, 255)
    return image


def _to_pixels(cells: NDArray[_Cell], size_px: int) -> NDArray[_Cell]:
    return cells.repeat(CELL_PX, axis=0).repeat(CELL_PX, axis=1)[:size_px, :size_px]


def _texture(tissue: TissueMap, size_px: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Relative dye uptake per pixel: wavy fibres in stroma, lumina in tumour, mottled everywhere."""
    cell_um = tissue.um_per_px * CELL_PX
    shape = tissue.classes.shape
    y, x = np.ogrid[: shape[0], : shape[1]]
    angle = rng.uniform(0.0, np.pi)
    across = (np.cos(angle) * x + np.sin(angle) * y) * (2 * np.pi * cell_um / _FIBRE_UM)
    fibres = np.sin(across.astype(np.float32) + 7.0 * smooth_noise(shape, 90.0 / cell_um, rng))
    is_lumen = (tissue.classes == _TUMOUR) & (smooth_noise(shape, 26.0 / cell_um, rng) > _LUMEN_LEVEL)
    uptake = np.where(tissue.classes == _STROMA, 1.0 + 0.3 * fibres, np.where(is_lumen, 0.05, 1.0))
    mottle = 1.0 + 0.15 * rng.standard_normal((size_px, size_px), dtype=np.float32)
    return np.asarray(_to_pixels(uptake, size_px) * mottle.clip(0.0), dtype=np.float32)


def _membranes(tissue: TissueMap, rng: np.random.Generator) -> NDArray[np.float32]:
    """Eosin of the thin walls between the vacuoles of fat: a bent honeycomb."""
    cell_um = tissue.um_per_px * CELL_PX
    shape = tissue.classes.shape
    y, x = np.ogrid[: shape[0], : shape[1]]
    bent_x = x * cell_um + 10.0 * smooth_noise(shape, 80.0 / cell_um, rng)
    bent_y = y * cell_um + 10.0 * smooth_noise(shape, 80.0 / cell_um, rng)
    wave = 4 * np.pi / np.sqrt(3) / _VACUOLE_UM
    angles = (0.0, 2 * np.pi / 3, 4 * np.pi / 3)
    comb = sum(np.cos(wave * (np.cos(angle) * bent_x + np.sin(angle) * bent_y)) for angle in angles)
    is_wall = (tissue.classes == _FAT) & (comb < _WALL_LEVEL)
    return np.where(is_wall, np.float32(0.4), np.float32(0.0))


def _nuclei(
    classes: NDArray[np.int8], is_tissue: BoolArray, um_per_px: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Haematoxylin of nuclei: ellipses scattered at the density of the tissue below them."""
    size = classes.shape[0]
    n_tries = rng.poisson(_NUCLEI_PER_MM2.max() * (size * um_per_px / 1000.0) ** 2)
    centre = rng.uniform(0.0, size, (n_tries, 2)).astype(np.float32)
    y, x = centre.astype(np.intp).T
    chance = _NUCLEI_PER_MM2 / _NUCLEI_PER_MM2.max()
    stays = (rng.random(n_tries) < chance[classes[y, x]]) & is_tissue[y, x]
    centre = centre[stays]
    kind = classes[y, x][stays]
    scale = rng.lognormal(0.0, 0.15, len(kind)) / um_per_px
    axes = np.stack([_NUCLEUS_LONG_UM[kind] * scale, _NUCLEUS_SHORT_UM[kind] * scale], axis=1).astype(np.float32)
    angle = rng.uniform(0.0, np.pi, len(kind)).astype(np.float32)
    depth = rng.uniform(0.75, 1.25, len(kind)).astype(np.float32)
    return _stamp(size, centre, axes, angle, depth)


def _stamp(
    size: int,
    centre: NDArray[np.float32],
    axes: NDArray[np.float32],
    angle: NDArray[np.float32],
    depth: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Draw soft-edged ellipses; where two overlap the denser one shows."""
    reach = int(np.ceil(axes.max())) + 1
    offsets = np.arange(-reach, reach + 1)
    row = np.rint(centre[:, 0]).astype(np.intp)[:, None, None] + offsets[:, None]
    column = np.rint(centre[:, 1]).astype(np.intp)[:, None, None] + offsets
    dy, dx = row - centre[:, 0, None, None], column - centre[:, 1, None, None]
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    long, short = axes[:, 0, None, None], axes[:, 1, None, None]
    distance = np.hypot((cos * dx + sin * dy) / long, (cos * dy - sin * dx) / short)
    ink = np.clip((1.0 - distance) * short + 0.5, 0.0, 1.0) * depth[:, None, None]
    row, column = np.broadcast_arrays(row, column)
    seen = (ink > 0) & (row >= 0) & (row < size) & (column >= 0) & (column < size)
    canvas = np.zeros((size, size), dtype=np.float32)
    np.maximum.at(canvas, (row[seen], column[seen]), ink[seen].astype(np.float32))
    return canvas
