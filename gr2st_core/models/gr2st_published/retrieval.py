"""Retrieval as published: chosen by cosine, weighted by L1 distance.

Belongs here: the weights of both states. Does not belong here: the bank itself (``gr2st_core.retrieval``).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gr2st_core.retrieval.bank import Neighbours, ReferenceBank, weighted_mean

_BLOCK = 16_777_216  # values of the largest intermediate array, 64 MB


def retrieve(bank: ReferenceBank, queries: Tensor, *, top_k: int, distance_floor: float) -> Neighbours:
    """Average the expression of the reference spots most similar to each query spot.

    Parameters
    ----------
    queries
        Embeddings in the bank's space, shape ``(n_query, d_embedding)``; searched on their device.
    top_k
        Neighbours by cosine; at most the whole bank.
    distance_floor
        Neighbours weigh as 1 / (squared L1 distance + this), so an exact match takes almost all weight.

    Notes
    -----
    The distances are between embeddings as they are, not between unit vectors. R1 as released divides by zero on an
    exact match; elsewhere the floor is far below rounding.
    """
    keys = torch.as_tensor(bank.embeddings, device=queries.device).float()
    values = torch.as_tensor(bank.expression, device=queries.device)
    unit_keys, k = normalize(keys), min(top_k, len(keys))
    per_query = max(len(keys), k * max(values.shape[1], keys.shape[1]))
    found = []
    for block in queries.split(max(1, _BLOCK // per_query)):
        index = (normalize(block) @ unit_keys.T).topk(k, dim=1).indices
        distance = (keys[index] - block[:, None]).abs().sum(dim=2)
        closeness = 1 / (distance.square() + distance_floor)
        weights = closeness / closeness.sum(dim=1, keepdim=True)
        found.append((weighted_mean(values, weights, index), weights, index))
    expression, weights, index = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
    return Neighbours(expression, weights, index)
