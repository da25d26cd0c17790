"""Sixty-four numbers of colour, stain and texture: the floor that every other encoder must beat.

Belongs here: hand-made features in numpy alone. Does not belong here: anything learned.

All of them stay the same when a patch is turned by 90 degrees or mirrored. Stains are separated as Ruifrok and
Johnston (Anal Quant Cytol Histol 23, 2001) do, with their haematoxylin and eosin vectors.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.images.pixels import Pixels

INPUT_PX = 112
_LEVELS = 4
_CHANNELS = ("red", "green", "blue", "haematoxylin", "eosin", "chroma")
_TEXTURED = ("green", "haematoxylin", "eosin")
_PAIRS = (("red", "green"), ("red", "blue"), ("green", "blue"), ("haematoxylin", "eosin"))
_NUCLEAR = (0.3, 0.5, 0.8)
_WHITE = 0.85
_DARK = 0.35
_STATISTICS = ("mean", "std", "p10", "p50", "p90")

NAMES: tuple[str, ...] = (
    *(f"{channel}_{statistic}" for statistic in _STATISTICS for channel in _CHANNELS),
    *(f"{channel}_skewness" for channel in _TEXTURED),
    *(f"{channel}_band{level}" for level in range(1, _LEVELS + 1) for channel in _TEXTURED),
    *(f"{channel}_gradient_{statistic}" for statistic in ("mean", "std") for channel in _TEXTURED),
    *(f"{a}_{b}_correlation" for a, b in _PAIRS),
    *(f"nuclear_share_{threshold}" for threshold in _NUCLEAR),
    "white_share",
    "dark_share",
    *(f"{channel}_centre_minus_rim" for channel in _TEXTURED),
    "white_share_centre_minus_rim",
)
"""Meaning of the 64 columns. Shares and colours are on the 0-1 scale, stains in optical density; ``bandN`` is
the standard deviation of detail between 2**(N-1) and 2**N pixels; the centre is the disc of 100 um of 154."""

_STAINS = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]])
_UNMIX = np.linalg.inv(_STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True)).astype(np.float32)
_DENSITY = -np.log10(np.maximum(np.arange(256, dtype=np.float32), 1) / 255)
"""Optical density of each of the 256 values."""
_QUANTILES = (0.1, 0.5, 0.9)
_TINY = 1e-6

Planes = NDArray[np.float32]
_Plane = NDArray[Any]


def encode_color_texture(patches: Pixels) -> NDArray[np.float32]:
    """Describe patches, uint8 ``(n, 112, 112, 3)``, by float32 ``(n, 64)``, columns as ``NAMES``.

    The skewness of a flat plane and the correlation with one are 0.
    """
    return np.stack([_describe(patch) for patch in patches])


def _describe(patch: Pixels) -> NDArray[np.float32]:
    # One patch at a time: its planes fit the processor's cache, which is faster than whole batches.
    planes = dict(zip(_CHANNELS, _planes(patch), strict=True))
    stack = np.stack([planes[name] for name in _CHANNELS])
    textured = np.stack([planes[name] for name in _TEXTURED])
    haematoxylin, brightness = planes["haematoxylin"], stack[:3].mean(axis=0)
    white = (brightness > _WHITE).astype(np.float32)
    columns: list[Planes] = [
        *_moments(stack),
        *_quantiles(patch, stack[3:5]),
        _skewness(textured),
        *_bands(textured),
        *_gradients(textured),
        np.array([_correlation(planes[a], planes[b]) for a, b in _PAIRS]),
        np.array([(haematoxylin > threshold).mean() for threshold in _NUCLEAR]),
        np.array([white.mean(), (brightness < _DARK).mean()]),
        _centre_minus_rim(np.concatenate([textured, white[None]])),
    ]
    return np.concatenate(columns).astype(np.float32)


def _planes(patch: Pixels) -> Planes:
    rgb = patch.transpose(2, 0, 1).astype(np.float32) / 255
    stains = (_DENSITY[patch.reshape(-1, 3)] @ _UNMIX[:, :2]).T.reshape(2, *patch.shape[:2])
    return np.concatenate([rgb, stains, _chroma(*rgb)[None]])


def _chroma(red: _Plane, green: _Plane, blue: _Plane) -> _Plane:
    # np.ptp along so short an axis is slow.
    return np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)


def _moments(stack: Planes) -> list[Planes]:
    flat = stack.reshape(len(stack), -1)
    return [flat.mean(axis=1), flat.std(axis=1)]


def _quantiles(patch: Pixels, stains: Planes) -> list[Planes]:
    # Colours and chroma have 256 values, which sort many times faster than floating point numbers.
    colours = patch.reshape(-1, 3).T.copy()
    levels = np.sort(np.concatenate([colours, _chroma(*colours)[None]]), axis=1, kind="stable")
    densities = np.sort(stains.reshape(2, -1), axis=1)
    quantiles = []
    for quantile in _QUANTILES:
        below, share = divmod(quantile * (levels.shape[1] - 1), 1)
        ends = slice(int(below), int(below) + 2)
        red, green, blue, chroma_end = levels[:, ends].astype(np.float32) / 255
        low, high = np.stack([red, green, blue, *densities[:, ends], chroma_end]).T
        quantiles.append(low + (high - low) * np.float32(share))
    return quantiles


def _skewness(stack: Planes) -> Planes:
    flat = stack.reshape(len(stack), -1)
    centred = flat - flat.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1)
    cubes = centred * centred * centred  # many times faster than a power
    third: Planes = np.where(spread > _TINY, cubes.mean(axis=1) / np.maximum(spread, _TINY) ** 3, 0)
    return third


def _bands(stack: Planes) -> list[Planes]:
    bands = []
    for _ in range(_LEVELS):
        corners = [stack[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
        stack = (corners[0] + corners[1] + corners[2] + corners[3]) / np.float32(4)
        energy = [((corner - stack) ** 2).mean(axis=(1, 2)) for corner in corners]
        bands.append(np.sqrt(np.mean(energy, axis=0)))
    return bands


def _gradients(stack: Planes) -> list[Planes]:
    across = stack[:, 1:-1, 2:] - stack[:, 1:-1, :-2]
    down = stack[:, 2:, 1:-1] - stack[:, :-2, 1:-1]
    steepness = np.sqrt(across**2 + down**2) / 2
    return [steepness.mean(axis=(1, 2)), steepness.std(axis=(1, 2))]


def _correlation(a: Planes, b: Planes) -> float:
    x, y = a.ravel() - a.mean(), b.ravel() - b.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > _TINY * x.size else 0.0


def _centre_minus_rim(stack: Planes) -> Planes:
    flat = stack.reshape(len(stack), -1).astype(np.float64)
    difference: Planes = (flat @ _contrast(stack.shape[1])).astype(np.float32)
    return difference


@cache
def _contrast(side: int) -> NDArray[np.float64]:
    """Weights of the pixels whose sum is the mean of the centre less that of the rim."""
    offset = np.arange(side) - (side - 1) / 2
    centre = (offset[:, None] ** 2 + offset**2 <= (side * 50 / 154) ** 2).ravel()
    weights: NDArray[np.float64] = np.where(centre, 1 / centre.sum(), -1 / (~centre).sum())
    return weights
