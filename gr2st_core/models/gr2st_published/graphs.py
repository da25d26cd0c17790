"""Which spots exchange messages in the published states.

Belongs here: both states' edge rules, and edges in the layout that attention reads. Does not belong here: attention.

A mask is boolean ``(n_spots, n_spots)``, row = receiver, column = sender. In both states messages go from the spot
that chooses to the spot that is chosen, so the columns of a mask are the choices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from gr2st_core.graphs.spatial import neighbour_mask, radius_edges
from gr2st_core.settings import Gr2stR1Settings, Gr2stR2Settings
from gr2st_core.types import FloatArray


@dataclass(frozen=True)
class Edges:
    """Edges of one section, self loops among them.

    Attributes
    ----------
    mask
        Row = receiver. All else is read from it when first asked for: a list's length is known to a GPU alone.
    """

    mask: Tensor

    @classmethod
    def of(cls, mask: Tensor) -> Edges:
        """Edges of a mask and every spot's own."""
        return cls(mask | torch.eye(len(mask), dtype=torch.bool, device=mask.device))

    @property
    def count(self) -> Tensor:
        """Number of edges, where the mask is."""
        return self.mask.sum()

    @property
    def density(self) -> float:
        """Share of all pairs that are edges."""
        return int(self.count) / len(self.mask) ** 2

    @cached_property
    def pairs(self) -> tuple[Tensor, Tensor]:
        """Receiver and sender of each edge, both int64 ``(n_edges,)``, sorted by receiver, then sender."""
        receiver, sender = self.mask.nonzero(as_tuple=True)
        return receiver, sender

    @property
    def receiver(self) -> Tensor:
        """First of `pairs`."""
        return self.pairs[0]

    @property
    def sender(self) -> Tensor:
        """Second of `pairs`."""
        return self.pairs[1]

    @cached_property
    def first(self) -> Tensor:
        """Where each receiver's edges begin, int64 ``(n_spots,)``."""
        return _starts(self.mask.sum(dim=1))

    @cached_property
    def by_sender(self) -> Tensor:
        """Order that sorts the edges by sender instead, int64 ``(n_edges,)``."""
        return self.sender.argsort(stable=True)

    @cached_property
    def first_sent(self) -> Tensor:
        """Where each sender's edges then begin, int64 ``(n_spots,)``."""
        return _starts(self.mask.sum(dim=0))


def _starts(lengths: Tensor) -> Tensor:
    return lengths.cumsum(0) - lengths


FunctionalRule = Callable[[Tensor, Tensor], Tensor]
"""From similarity ``(n_spots, n_spots)``, row = chooser, and class codes to a mask."""


def functional_rule(settings: Gr2stR1Settings | Gr2stR2Settings) -> FunctionalRule:
    """Rule of the functional graph under these settings."""
    if isinstance(settings, Gr2stR1Settings):
        return partial(most_similar, n_chosen=settings.functional_neighbours, type_bonus=settings.type_bonus)
    return partial(
        above_threshold, similarity_weight=settings.similarity_weight, threshold=settings.similarity_threshold
    )


def spatial_mask(array_xy: FloatArray, settings: Gr2stR1Settings | Gr2stR2Settings) -> Tensor:
    """Mask of the spatial graph over column and row on the capture grid, ``(n_spots, 2)``."""
    if isinstance(settings, Gr2stR1Settings):
        return nearest(array_xy, settings.spatial_neighbours)
    return neighbour_mask(radius_edges(array_xy, settings.radius), len(array_xy))


def most_similar(similarity: Tensor, classes: Tensor, *, n_chosen: int, type_bonus: float) -> Tensor:
    """Each spot chooses its ``n_chosen`` most similar, itself perhaps among them; fewer where a section has fewer.

    Notes
    -----
    R1 takes a row's softmax first, which changes no order. Spots of unknown class (0) are alike, as published.
    """
    preferred = similarity + type_bonus * _alike(classes)
    chosen = preferred.topk(min(n_chosen, len(similarity)), dim=1).indices
    return torch.zeros_like(similarity, dtype=torch.bool).scatter_(1, chosen, value=True).T


def above_threshold(similarity: Tensor, classes: Tensor, *, similarity_weight: float, threshold: float) -> Tensor:
    """Each spot chooses those whose similarity (logistic) and equality of class together exceed ``threshold``."""
    weights = similarity_weight * similarity.sigmoid() + (1 - similarity_weight) * _alike(classes)
    return (weights > threshold).T


def nearest(array_xy: FloatArray, n_chosen: int) -> Tensor:
    """Each spot chooses its ``n_chosen`` nearest by Euclidean distance, itself included.

    Notes
    -----
    On a grid many distances are equal; the published code leaves their order to the device. Here it is that of
    (distance, row, column), so that the order of the spots does not matter.
    """
    column, row = array_xy.T
    order = np.lexsort((column, row))
    placed = array_xy[order]
    squared = np.square(array_xy[:, None] - placed).sum(axis=2).round(9)
    farthest = np.partition(squared, min(n_chosen, len(order)) - 1, axis=1)[:, min(n_chosen, len(order)) - 1, None]
    closer, tied = squared < farthest, squared == farthest
    room = n_chosen - closer.sum(axis=1, keepdims=True)
    chosen = closer | (tied & (tied.cumsum(axis=1) <= room))
    mask = torch.zeros(chosen.shape, dtype=torch.bool)
    mask[:, torch.from_numpy(order)] = torch.from_numpy(chosen)
    return mask.T


def _alike(classes: Tensor) -> Tensor:
    return classes[:, None] == classes[None, :]
