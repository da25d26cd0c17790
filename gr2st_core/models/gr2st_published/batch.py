"""One training section as the network reads it.

Belongs here: tensors of a section. Does not belong here: scaling of the features (``gr2st.scaling``) or anything
learned. A query section is its scaled features alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gr2st_core.cells.classes import dominant_class
from gr2st_core.expression.targets import to_target
from gr2st_core.keys import Target
from gr2st_core.models.gr2st.batch import fit_in_table
from gr2st_core.models.gr2st_published.graphs import Edges, spatial_mask
from gr2st_core.models.gr2st_published.scaling import FeatureScaler
from gr2st_core.settings import Gr2stR1Settings, Gr2stR2Settings
from gr2st_core.types import FloatArray, Panel, TrainSection

TRAINING_TARGET: Target = "per_spot"
"""What both states learn from, whatever they are asked to retrieve."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A whole section.

    Attributes
    ----------
    features
        Standardised, float32 ``(n_spots, d_features)``.
    expression
        ``TRAINING_TARGET``, float32 ``(n_spots, n_genes)``.
    positions
        Column and row in the position tables, int64 ``(n_spots, 2)``.
    classes
        Dominant cell class, int64 ``(n_spots,)``; 0 = unknown.
    spatial
        Edges by place, made once.
    """

    features: Tensor
    expression: Tensor
    positions: Tensor
    classes: Tensor
    spatial: Edges


def as_batch(
    section: TrainSection,
    scaler: FeatureScaler,
    panel: Panel,
    settings: Gr2stR1Settings | Gr2stR2Settings,
    device: torch.device,
) -> Batch:
    """Tensors of a training section; without cell types all classes are unknown.

    Raises
    ------
    MissingArtifactError
        If the section lacks features that the scaler was fitted on.
    """
    types, grid = section.cell_types, section.image.array_xy
    classes = np.zeros(section.image.n_spots, dtype=np.int64) if types is None else dominant_class(types)
    return Batch(
        features=torch.from_numpy(scaler.transform(section.image)).to(device),
        expression=torch.from_numpy(to_target(section.counts, panel, TRAINING_TARGET)).to(device),
        positions=table_rows(grid, settings.n_positions).to(device),
        classes=torch.from_numpy(classes).to(device),
        spatial=Edges.of(spatial_mask(grid, settings).to(device)),
    )


def table_rows(array_xy: FloatArray, n_positions: int) -> Tensor:
    """Row of each position table, int64 ``(n_spots, 2)``: the grid's column and row as they are.

    A section that the tables cannot hold is counted from its own corner, and shrunk if it must be.
    """
    rows = torch.from_numpy(array_xy).round().long()
    fits = bool((rows >= 0).all() and (rows < n_positions).all())
    return rows if fits else fit_in_table(array_xy, n_positions)
