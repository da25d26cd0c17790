"""GR2ST as one network: two towers, one head, one temperature.

Belongs here: how the parts are put together from settings, and which function each use of the network runs. Does not
belong here: losses, optimisation, retrieval.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gr2st_core.cells.classes import CLASSES
from gr2st_core.models.gr2st.batch import Query, Reference
from gr2st_core.models.gr2st.head import BranchedHead
from gr2st_core.models.gr2st.query_tower import QueryTower
from gr2st_core.models.gr2st.spot_tower import SpotTower
from gr2st_core.settings import Gr2stSettings

_FIRST_TEMPERATURE = 0.07
_LARGEST_SCALE = 100.0


class Gr2stNetwork(nn.Module):
    """All parameters of GR2ST.

    Parameters
    ----------
    query, spot, head
        The image tower, the expression tower and the regression head, of one embedding width.
    """

    def __init__(self, *, query: QueryTower, spot: SpotTower, head: BranchedHead) -> None:
        super().__init__()
        self.query, self.spot, self.head = query, spot, head
        self.log_scale = nn.Parameter(torch.tensor(-math.log(_FIRST_TEMPERATURE)))

    @property
    def scale(self) -> Tensor:
        """Inverse temperature of the contrastive loss."""
        return self.log_scale.exp().clamp(max=_LARGEST_SCALE)

    def regress(self, query: Query) -> tuple[Tensor, Tensor, Tensor]:
        """Image embedding, standardised expression and gate logits of each spot."""
        embedded, context = self.query(query.features, query.neighbour_mean)
        predicted, logits = self.head(embedded, context)
        return embedded, predicted, logits

    def embed_reference(self, reference: Reference) -> tuple[Tensor, Tensor]:
        """Key of each training spot, and the relative entropy of the attention."""
        embedded: tuple[Tensor, Tensor] = self.spot(
            reference.expression, reference.positions, reference.classes, reference.spatial_mask
        )
        return embedded


def build_network(settings: Gr2stSettings, *, d_features: int, directions: Tensor) -> Gr2stNetwork:
    """Network with fresh parameters drawn from torch's current random state.

    Parameters
    ----------
    d_features
        Width of the scaled features.
    directions
        Gene directions that the head starts from, ``(n_genes, rank)``.
    """
    width, dropout, graph = settings.d_embedding, settings.dropout, settings.graph
    return Gr2stNetwork(
        query=QueryTower(d_features=d_features, d_embedding=width, dropout=dropout),
        spot=SpotTower(
            n_genes=len(directions),
            n_classes=len(CLASSES),
            n_positions=settings.n_positions,
            d_embedding=width,
            n_heads=settings.n_heads,
            dropout=dropout,
            similarity_weight=graph.similarity_weight,
            min_threshold=graph.min_threshold,
            kappa=graph.kappa,
            max_degree=graph.max_degree,
            similarity_temperature=settings.similarity_temperature,
            by_function=settings.functional_graph,
            by_place=settings.spatial_graph,
        ),
        head=BranchedHead(d_embedding=width, n_branches=len(CLASSES), directions=directions, dropout=dropout),
    )
