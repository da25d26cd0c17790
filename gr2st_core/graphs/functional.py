"""Spots that behave alike.

Belongs here: from pairwise similarity and cell classes to edge weights, to the edges kept, to a table of them. Does
not belong here: how similarity is learned (``models.gr2st.spot_tower``).

Matrices are ``(n_rows, n_spots)``; row = receiver, the spot that chooses; column = sender. The rows are all spots, or
a block of them that begins at the spot ``first``: rows are independent, so a large section's graph is drawn block by
block (`row_blocks`) in bounded memory. Its time still grows with the square of the spots, a second at 4,000 and a
quarter of a minute at 20,000 on one core (``benchmarks/functional_graph.py``): beyond 50,000 it would need approximate
neighbours. Training holds the whole matrix, and attention several of them: it is for sections of thousands of spots.
"""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from gr2st_core.types import StrArray

UNKNOWN = 0
"""Class code of a spot of which no cell type is known; such spots earn no bonus."""

_BLOCK = 16_777_216  # values of a block's matrix, 64 MB; sections up to 4,096 spots are one block


def row_blocks(n_spots: int) -> list[slice]:
    """Rows that are taken at once."""
    step = max(1, _BLOCK // max(n_spots, 1))
    return [slice(first, min(first + step, n_spots)) for first in range(0, n_spots, step)]


def edge_weights(similarity: Tensor, classes: Tensor, *, similarity_weight: float, first: int = 0) -> Tensor:
    """Mix similarity with equality of cell class.

    Parameters
    ----------
    similarity
        In 0..1, of all rows or a block of them.
    classes
        Dominant class codes of all spots, int64 ``(n_spots,)``; 0 is unknown and equals nothing.
    similarity_weight
        Share of similarity; the rest goes to pairs of one class.
    """
    own = classes[first : first + len(similarity), None]
    alike = (own == classes[None, :]) & (own != UNKNOWN)
    return similarity_weight * similarity + (1 - similarity_weight) * alike


def keep_dynamic(weights: Tensor, *, min_threshold: float, kappa: float, max_degree: int, first: int = 0) -> Tensor:
    """Keep a spot's edges that stand out among its own.

    An edge is kept above ``max(min_threshold, mean + kappa * sd)`` of the row without its diagonal; of those at most
    the ``max_degree`` heaviest. The diagonal is always kept, so no spot is isolated.

    Returns
    -------
    Boolean mask; not symmetric. No gradient flows through it.
    """
    n_rows, n_spots = weights.shape
    own = torch.ones(n_rows, n_spots, dtype=torch.bool, device=weights.device).triu(first).tril(first)
    if n_spots < 3:  # a row of one other spot has no spread
        return (weights.detach() > min_threshold) | own
    others = weights.detach().masked_fill(own, 0.0)
    mean = others.sum(1, keepdim=True) / (n_spots - 1)
    spread = ((others - mean).masked_fill(own, 0.0).square().sum(1, keepdim=True) / (n_spots - 1)).sqrt()
    kept = (others > (mean + kappa * spread).clamp(min=min_threshold)) & ~own
    heaviest = others.topk(min(max_degree, n_spots - 1), dim=1).indices
    return (kept & torch.zeros_like(own).scatter_(1, heaviest, value=True)) | own


def edge_table(mask: Tensor, weights: Tensor, spot_ids: StrArray, first: int = 0) -> pd.DataFrame:
    """Kept edges as rows.

    Returns
    -------
    ``spot_id`` (receiver), ``neighbour_id`` (sender), ``weight`` float32; sorted by the spots' order; the self loop is
    a row.
    """
    receiver, sender = mask.nonzero(as_tuple=True)
    return pd.DataFrame(
        {
            "spot_id": spot_ids[first + receiver.cpu().numpy()],
            "neighbour_id": spot_ids[sender.cpu().numpy()],
            "weight": weights.detach()[receiver, sender].float().cpu().numpy(),
        }
    )
