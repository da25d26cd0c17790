"""One section as the network reads it.

Belongs here: tensors of a section, query side and training side. Does not belong here: scaling of the features
(``scaling``), the way back to target units (``units``), anything learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gr2st_core.cells.classes import CLASSES, dominant_class
from gr2st_core.graphs.spatial import neighbour_mask, neighbour_mean, radius_edges
from gr2st_core.keys import Target
from gr2st_core.models.low_rank.targets import TrainingTargets
from gr2st_core.settings import Gr2stSettings
from gr2st_core.types import CellTypes, FloatArray, ImageSection, Panel, TrainSection


@dataclass(frozen=True, slots=True)
class Query:
    """What the query tower and the head read.

    Attributes
    ----------
    features
        Scaled and rotated, float32 ``(n_spots, d_features)``.
    neighbour_mean
        Sparse ``(n_spots, n_spots)`` averaging matrix of the spatial graph.
    """

    features: Tensor
    neighbour_mean: Tensor


@dataclass(frozen=True, slots=True)
class Reference:
    """What the spot tower and the losses read besides.

    Attributes
    ----------
    expression
        Every gene standardised within the section, float32 ``(n_spots, n_genes)``.
    weights
        Of spots in the squared error, mean 1, float32 ``(n_spots,)``.
    positions
        Row of each position table, int64 ``(n_spots, 2)``.
    classes
        Dominant cell class, int64 ``(n_spots,)``; 0 = unknown.
    proportions
        Share of each class, float32 ``(n_spots, n_classes)``; rows of NaN where unknown.
    spatial_mask
        Boolean ``(n_spots, n_spots)``.
    """

    expression: Tensor
    weights: Tensor
    positions: Tensor
    classes: Tensor
    proportions: Tensor
    spatial_mask: Tensor


def as_query(section: ImageSection, features: NDArray[np.float32], radius: float, device: torch.device) -> Query:
    """Tensors of a section without counts.

    Parameters
    ----------
    features
        Of its spots, scaled.
    """
    edges = radius_edges(section.pitch_xy, radius)
    return Query(torch.from_numpy(features).to(device), neighbour_mean(edges, section.n_spots).to(device))


def as_reference(
    section: TrainSection, panel: Panel, target: Target, *, settings: Gr2stSettings, device: torch.device
) -> Reference:
    """Tensors of a training section's expression, place and cell types; without cell types all are unknown.

    ``settings`` say how far neighbours are, how many rows a position table has, whether cell types are read, and how
    much less shallow spots weigh.
    """
    n_spots = section.image.n_spots
    classes, proportions = _cell_classes(section.cell_types if settings.cell_types else None, n_spots)
    edges = radius_edges(section.image.pitch_xy, settings.graph.radius_pitches)
    targets = TrainingTargets.of([section], panel, target)
    return Reference(
        expression=torch.from_numpy(targets.standard.astype(np.float32)).to(device),
        weights=torch.from_numpy(targets.weights(settings.depth_exponent).astype(np.float32)).to(device),
        positions=fit_in_table(section.image.pitch_xy, settings.n_positions).to(device),
        classes=classes.to(device),
        proportions=proportions.to(device),
        spatial_mask=neighbour_mask(edges, n_spots).to(device),
    )


def fit_in_table(pitch_xy: FloatArray, n_positions: int) -> Tensor:
    """Column and row of each spot on the section's own grid, for tables of ``n_positions`` rows.

    Counted in pitches from the section's corner; a section larger than the tables is shrunk to fit.

    Returns
    -------
    int64 ``(n_spots, 2)`` in ``0 .. n_positions - 1``.
    """
    from_corner = pitch_xy - pitch_xy.min(axis=0)
    shrink = min(1.0, (n_positions - 1) / max(1.0, from_corner.max()))
    return torch.from_numpy(from_corner * shrink).round().long()


def _cell_classes(types: CellTypes | None, n_spots: int) -> tuple[Tensor, Tensor]:
    if types is None:
        return torch.zeros(n_spots, dtype=torch.int64), torch.full((n_spots, len(CLASSES)), torch.nan)
    return torch.from_numpy(dominant_class(types)), torch.from_numpy(types.proportions.astype("float32"))
