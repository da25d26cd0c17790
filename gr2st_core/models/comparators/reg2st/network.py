"""The network of Reg2ST and what it minimises.

Belongs here: both branches and how they meet. Does not belong here: attention, graph and count heads, which are shared.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss, normalize

from gr2st_core.comparator_settings.reg2st import Reg2STSettings
from gr2st_core.models.comparators.cross_attention import CrossAttentionDecoder
from gr2st_core.models.comparators.inputs import SectionInputs, SectionTruth
from gr2st_core.models.comparators.neighbours import order_by_place
from gr2st_core.models.comparators.network import SectionNetwork
from gr2st_core.models.comparators.positions import XYEmbedding
from gr2st_core.models.comparators.wikg import WiKG
from gr2st_core.models.comparators.zinb import ZinbHead, zinb_loss

FIRST_SCALE = 1 / 0.07
"""Of cosines in the contrast before any training."""


class Reg2STNetwork(SectionNetwork):
    """Features and place to expression; a branch that reads expression takes part in training alone.

    Parameters
    ----------
    row_shape
        Shape of a spot's input: a row of features.
    """

    def __init__(self, settings: Reg2STSettings, row_shape: tuple[int, ...], n_genes: int) -> None:
        super().__init__()
        width, hidden = settings.d_model, settings.d_hidden
        self.settings = settings
        self.image = _two_layers(math.prod(row_shape), hidden, width)
        self.to_gene_space = _two_layers(width, width, width)
        self.genes = _two_layers(n_genes, hidden, width)
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))
        self.place = XYEmbedding(settings.n_positions, width)
        self.decoder = CrossAttentionDecoder(
            settings.depth, width, settings.n_heads, width // settings.n_heads, settings.d_mlp, settings.dropout
        )
        self.graph = WiKG(width, settings.n_neighbours)
        self.head = _two_layers(width, hidden, n_genes)
        self.zinb = ZinbHead(width, n_genes)

    def forward(self, inputs: SectionInputs) -> Tensor:
        """Predict expression, ``(n_spots, n_genes)``, from the image alone."""
        order = order_by_place(inputs.pitch_xy)  # the graph is a choice, which must not turn on the order of storage
        placed = inputs.rows(order)
        seen = self.image(placed.spots)
        predicted: Tensor = self.head(self._mixed(seen, self.to_gene_space(seen), placed.grid))
        return torch.empty_like(predicted).index_copy(0, order, predicted)

    def loss_terms(self, inputs: SectionInputs, truth: SectionTruth) -> dict[str, Tensor]:
        """Error, contrast of image and genes, error in gene space, likelihood of counts; ``total`` weighs them."""
        seen = self.image(inputs.spots)
        projected = self.to_gene_space(seen)
        rows = self._mixed(seen, projected, inputs.grid)
        genes = normalize(self.genes(truth.expression), dim=1)
        mse = mse_loss(self.head(rows), truth.expression)
        contrast = identity_contrast(normalize(seen, dim=1), genes, self.log_scale.exp())
        gene_space = mse_loss(projected, genes)
        zinb = zinb_loss(truth.counts, self.zinb(rows), truth.size_factors)
        options = self.settings
        total = (
            mse
            + options.contrast_weight * contrast
            + options.gene_space_weight * gene_space
            + options.zinb_weight * zinb
        )
        return {"mse": mse, "contrast": contrast, "gene_space": gene_space, "zinb": zinb, "total": total}

    def _mixed(self, seen: Tensor, projected: Tensor, grid: Tensor) -> Tensor:
        """Rows that the heads read, ``(n_spots, d_model)``."""
        mixed: Tensor = self.graph(self.decoder(seen + self.place(grid), projected))
        return mixed


def identity_contrast(image: Tensor, genes: Tensor, scale: Tensor) -> Tensor:
    """Binary cross-entropy of every pair of spots: an image belongs to its own expression and to no other.

    Parameters
    ----------
    image, genes
        Unit rows, ``(n_spots, d_model)``; row i of both is spot i.
    scale
        What cosines are multiplied by to be log odds.
    """
    logits = scale * image @ genes.T
    return binary_cross_entropy_with_logits(logits, torch.eye(len(logits), device=logits.device))


def _two_layers(d_in: int, d_hidden: int, d_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(d_in, d_hidden), nn.GELU(), nn.Linear(d_hidden, d_out))
