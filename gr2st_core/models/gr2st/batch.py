"""One section as the network reads it.

Belongs here: tensors of a section, query side and training side. Does not belong here: scaling of the features
(``scaling``) or anything learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gr2st_core.cells.classes import CLASSES, dominant_class
from gr2st_core.expression.targets import to_target
from gr2st_core.graphs.spatial import neighbour_mask, neighbour_mean, radius_edges
from gr2st_core.models.gr2st.scaling import FeatureScaler
from gr2st_core.settings import Gr2stSettings
from gr2st_core.types import CellTypes, FloatArray, ImageSection, Panel, Target, TrainSection


@dataclass(frozen=True, slots=True)
class Query:
    """What the query tower and the head read.

    Attributes
    ----------
    features
        Standardised, float32 ``(n_spots, d_features)``.
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
        Target units, float32 ``(n_spots, n_genes)``.
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
    positions: Tensor
    classes: Tensor
    proportions: Tensor
    spatial_mask: Tensor


def as_query(section: ImageSection, scaler: FeatureScaler, radius: float, device: torch.device) -> Query:
    """Tensors of a section without counts.

    Raises
    ------
    MissingArtifactError
        If the section lacks features that the scaler was fitted on.
    """
    edges = radius_edges(section.pitch_xy, radius)
    features = torch.from_numpy(scaler.transform(section))
    return Query(features.to(device), neighbour_mean(edges, section.n_spots).to(device))


def as_reference(
    section: TrainSection, panel: Panel, target: Target, *, settings: Gr2stSettings, device: torch.device
) -> Reference:
    """Tensors of a training section's expression, place and cell types; without cell types all are unknown.

    ``settings`` say how far neighbours are, how many rows a position table has, and whether cell types are read.
    """
    n_spots = section.image.n_spots
    classes, proportions = _cell_classes(section.cell_types if settings.cell_types else None, n_spots)
    edges = radius_edges(section.image.pitch_xy, settings.graph.radius_pitches)
    return Reference(
        expression=torch.from_numpy(to_target(section.counts, panel, target)).to(device),
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
