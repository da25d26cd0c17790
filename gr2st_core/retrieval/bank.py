"""Training spots with their embeddings and expression, searched exactly.

Belongs here: the reference bank, its search, and its refusal of query sections. Does not belong here: how embeddings
are learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from gr2st_core.errors import AlignmentError, CheckpointError, LeakageError
from gr2st_core.keys import SectionKey
from gr2st_core.types import FloatArray, StrArray

_BLOCK = 16_777_216  # values of the largest intermediate array, 64 MB
_FEW_ROWS = 16  # times the neighbours: in a bank this small a product with all of it beats gathering theirs


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Reference spots of each query spot.

    Attributes
    ----------
    expression
        Weighted mean of the neighbours' expression, float32 ``(n_query, n_genes)``.
    weights
        Non-negative, rows sum to 1, float32 ``(n_query, k)``.
    index
        Rows of the bank, nearest first, int64 ``(n_query, k)``.
    """

    expression: NDArray[np.float32]
    weights: NDArray[np.float32]
    index: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ReferenceBank:
    """Training spots that queries are compared with; all arrays share their row order.

    Attributes
    ----------
    embeddings
        Shape ``(n_reference, d_embedding)``.
    expression
        In target units, shape ``(n_reference, n_genes)``, columns in panel order.
    section_keys, spot_ids
        Identity of each row, ``cohort/section`` and the id within it.
    """

    embeddings: FloatArray
    expression: FloatArray
    section_keys: StrArray
    spot_ids: StrArray

    def __post_init__(self) -> None:
        rows = [len(self.embeddings), len(self.expression), len(self.section_keys), len(self.spot_ids)]
        if len(set(rows)) != 1 or rows[0] == 0:
            raise AlignmentError("a reference bank has the same rows in all arrays, at least one", found=rows)

    def refuse(self, queries: Iterable[SectionKey]) -> None:
        """Refuse to serve a section whose own expression is in the bank.

        Raises
        ------
        LeakageError
        """
        held = set(self.section_keys.tolist())
        if known := sorted(str(key) for key in queries if str(key) in held):
            raise LeakageError(
                "a query section is in the reference bank", section=known, hint="predict another section"
            )

    def search(self, queries: Tensor, *, top_k: int, temperature: float) -> Neighbours:
        """Average the expression of the reference spots most similar to each query spot.

        Parameters
        ----------
        queries
            Embeddings in the bank's space, shape ``(n_query, d_embedding)``; searched on their device.
        top_k
            Neighbours by cosine; at most the whole bank.
        temperature
            Neighbours weigh as the softmax of cosine / temperature.
        """
        return self.search_each(queries, top_ks=(top_k,), temperature=temperature)[0]

    def search_each(self, queries: Tensor, *, top_ks: Sequence[int], temperature: float) -> list[Neighbours]:
        """`search` for several numbers of neighbours, which share one ranking."""
        keys = torch.as_tensor(self.embeddings, device=queries.device).float()
        unit_keys, sizes = normalize(keys), [min(top_k, len(keys)) for top_k in top_ks]
        values = torch.as_tensor(self.expression, device=queries.device)
        found: list[list[tuple[Tensor, Tensor, Tensor]]] = [[] for _ in sizes]
        for block in queries.float().split(max(1, _BLOCK // max(len(keys), max(sizes) * self.expression.shape[1]))):
            cosine, index = (normalize(block) @ unit_keys.T).topk(max(sizes), dim=1)
            for k, parts in zip(sizes, found, strict=True):
                weights = (cosine[:, :k] / temperature).softmax(dim=1)
                parts.append((weighted_mean(values, weights, index[:, :k]), weights, index[:, :k]))
        stacked = ([torch.cat(arrays).cpu().numpy() for arrays in zip(*parts, strict=True)] for parts in found)
        return [Neighbours(*arrays) for arrays in stacked]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays to store; ids become UTF-8 bytes, one id a line."""
        return {
            "embeddings": self.embeddings,
            "expression": self.expression,
            "section_keys": _to_bytes(self.section_keys),
            "spot_ids": _to_bytes(self.spot_ids),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> ReferenceBank:
        """Restore a stored bank.

        Raises
        ------
        CheckpointError
        """
        expected = {"embeddings", "expression", "section_keys", "spot_ids"}
        if set(arrays) != expected:
            raise CheckpointError("arrays of a reference bank", expected=sorted(expected), found=sorted(arrays))
        try:
            names = _from_bytes(arrays["section_keys"]), _from_bytes(arrays["spot_ids"])
            return cls(arrays["embeddings"], arrays["expression"], *names)
        except (AlignmentError, UnicodeDecodeError) as error:
            raise CheckpointError(f"a stored reference bank is damaged: {error}") from error


def weighted_mean(values: Tensor, weights: Tensor, index: Tensor) -> Tensor:
    """Average chosen rows of ``values`` ``(n_reference, n_genes)``, float32 ``(n_query, n_genes)``.

    Parameters
    ----------
    weights, index
        Of the rows that each query averages, none twice, both ``(n_query, k)``.
    """
    if len(values) > _FEW_ROWS * index.shape[1]:
        return torch.einsum("qk,qkg->qg", weights, values[index].float())
    shares = weights.new_zeros(len(weights), len(values)).scatter_(1, index, weights)
    return shares @ values.float()


def _to_bytes(names: StrArray) -> NDArray[np.uint8]:
    return np.frombuffer("\n".join(names.tolist()).encode(), dtype=np.uint8).copy()


def _from_bytes(stored: NDArray[np.uint8]) -> StrArray:
    return np.array(stored.tobytes().decode().split("\n"))
