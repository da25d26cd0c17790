"""Both published states as one network: two towers, and in R2 a head.

Belongs here: how the parts are put together from settings, and which function each use of the network runs. Does not
belong here: losses, optimisation, retrieval.
"""

from __future__ import annotations

from torch import Tensor, nn

from gr2st_core.cells.classes import CLASSES
from gr2st_core.models.gr2st.projection import ProjectionHead
from gr2st_core.models.gr2st_published import losses
from gr2st_core.models.gr2st_published.batch import Batch
from gr2st_core.models.gr2st_published.experts import ExpertHead
from gr2st_core.models.gr2st_published.graphs import functional_rule
from gr2st_core.models.gr2st_published.spot_tower import SpotTower
from gr2st_core.settings import Gr2stR1Settings, Gr2stR2Settings


class PublishedNetwork(nn.Module):
    """All parameters of a published state.

    Parameters
    ----------
    image, spot
        The image tower and the expression tower, of one embedding width.
    head
        The regression head; None in R1.
    """

    def __init__(self, *, image: ProjectionHead, spot: SpotTower, head: ExpertHead | None) -> None:
        super().__init__()
        self.image, self.spot, self.head = image, spot, head

    def embed_batch(self, batch: Batch) -> Tensor:
        """Key of each training spot, ``(n_spots, d_embedding)``."""
        keys: Tensor = self.spot(batch.expression, batch.positions, batch.classes, batch.spatial)[0]
        return keys

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """Unweighted loss terms of one section: ``contrastive``; with a head also ``mse``, ``gate``, ``attention``."""
        embedded = self.image(batch.features)
        keys, attended = self.spot(batch.expression, batch.positions, batch.classes, batch.spatial)
        terms = {"contrastive": losses.contrastive(keys, embedded, self.spot.temperature)}
        if self.head is None:
            return terms
        predicted, logits = self.head(embedded)
        (one, functional), (other, spatial) = attended
        return {
            **terms,
            "mse": losses.squared_error(batch.expression, predicted),
            "gate": losses.gate(logits, batch.classes),
            "attention": losses.attention(one, functional) + losses.attention(other, spatial),
        }


def build_network(settings: Gr2stR1Settings | Gr2stR2Settings, *, d_features: int, n_genes: int) -> PublishedNetwork:
    """Network with fresh parameters drawn from torch's current random state.

    Parameters
    ----------
    d_features
        Width of the standardised features.
    """
    width, dropout = settings.d_embedding, settings.dropout
    head = None
    if isinstance(settings, Gr2stR2Settings):
        head = ExpertHead(
            d_embedding=width, d_gate=settings.d_gate, n_experts=len(CLASSES), n_genes=n_genes, dropout=dropout
        )
    return PublishedNetwork(
        image=ProjectionHead(d_in=d_features, d_out=width, dropout=dropout),
        spot=SpotTower(
            n_genes=n_genes,
            n_classes=len(CLASSES),
            n_positions=settings.n_positions,
            d_embedding=width,
            n_heads=settings.n_heads,
            dropout=dropout,
            temperature=settings.temperature,
            rule=functional_rule(settings),
        ),
        head=head,
    )
