"""What Hist2ST and HGGEP minimise alike: squared error, likelihood of the counts, agreement over changed patches.

Belongs here: the heads and the loss. Does not belong here: how a spot's row comes about (each system).
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn
from torch.nn.functional import mse_loss

from gr2st_core.comparator_settings.distilled import DistilledSettings
from gr2st_core.models.comparators.distillation import SelfDistillation, changed
from gr2st_core.models.comparators.inputs import SectionInputs, SectionTruth
from gr2st_core.models.comparators.neighbours import nearest_edges
from gr2st_core.models.comparators.network import SectionNetwork
from gr2st_core.models.comparators.zinb import ZinbHead, zinb_loss


class DistilledNetwork(SectionNetwork):
    """Heads on rows of spots that a subclass makes.

    Parameters
    ----------
    settings
        Of the graph and the loss.
    is_pixels
        Whether spots are patches: features are not changed, so on them there is no self-distillation.
    """

    def __init__(self, settings: DistilledSettings, d_model: int, n_genes: int, *, is_pixels: bool) -> None:
        super().__init__()
        self.settings = settings
        self.head = nn.Sequential(nn.LayerNorm(d_model), nn.Linear(d_model, n_genes))
        self.zinb = ZinbHead(d_model, n_genes)
        self.distillation = SelfDistillation(d_model) if is_pixels else None

    def edges(self, inputs: SectionInputs) -> Tensor:
        """Sender and receiver of the graph of near spots, ``(2, n_edges)``; the same in all passes of a step."""
        return nearest_edges(inputs.pitch_xy, self.settings.n_neighbours, self.settings.max_pitches)

    def embedded(self, inputs: SectionInputs, edges: Tensor) -> Tensor:
        """What the heads read of the spots, ``(n_spots, d_model)``."""
        raise NotImplementedError

    def forward(self, inputs: SectionInputs) -> Tensor:
        """Predict expression, ``(n_spots, n_genes)``."""
        predicted: Tensor = self.head(self.embedded(inputs, self.edges(inputs)))
        return predicted

    def loss_terms(self, inputs: SectionInputs, truth: SectionTruth) -> dict[str, Tensor]:
        """Terms of the loss of a section, and what is minimised as ``total``."""
        edges = self.edges(inputs)
        rows = self.embedded(inputs, edges)
        predicted: Tensor = self.head(rows)
        terms = {
            "mse": mse_loss(predicted, truth.expression),
            "zinb": zinb_loss(truth.counts, self.zinb(rows), truth.size_factors),
        }
        total = terms["mse"] + self.settings.zinb_weight * terms["zinb"]
        if self.distillation is not None:
            passes = [self.embedded(_changed(inputs), edges) for _ in range(self.settings.n_passes)]
            terms["distillation"] = self.distillation(passes, [self.head(rows) for rows in passes], predicted)
            total = total + self.settings.distillation_weight * terms["distillation"]
        return {**terms, "total": total}


def _changed(inputs: SectionInputs) -> SectionInputs:
    return replace(inputs, spots=changed(inputs.spots))
