"""Spots that lie close together.

Belongs here: the radius graph over spot centres. Does not belong here: edges that depend on features or expression
(``functional``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from gr2st_core.types import FloatArray

if TYPE_CHECKING:
    from torch_geometric.data import Data

# Arrays are printed and registered to about 1 % of the pitch, so a distance this close to the radius is equal to it.
TOLERANCE = 0.02


def radius_edges(pitch_xy: FloatArray, radius: float) -> NDArray[np.int64]:
    """Pair spots less than ``radius`` apart, each spot with itself.

    Parameters
    ----------
    pitch_xy
        Spot centres in units of the spot pitch, shape ``(n_spots, 2)``.
    radius
        In pitches; strict, so 3 on a square grid is the 5 x 5 window.

    Returns
    -------
    Row of sender and of receiver, shape ``(2, n_edges)``, symmetric, sorted by receiver, then sender.

    Notes
    -----
    Invariant to translation, rotation and image scale. A distance within 2 % of the radius counts as equal to it, so
    pixel coordinates of a real array give the edges of its integer grid.
    """
    pairs = KDTree(pitch_xy).query_pairs(radius * (1 - TOLERANCE), output_type="ndarray").astype(np.int64)
    own = np.arange(len(pitch_xy))
    sender = np.concatenate([pairs[:, 0], pairs[:, 1], own])
    receiver = np.concatenate([pairs[:, 1], pairs[:, 0], own])
    order = np.lexsort((sender, receiver))
    return np.stack([sender[order], receiver[order]])


def spatial_graph(pitch_xy: FloatArray, radius: float) -> Data:
    """Describe `radius_edges` to torch-geometric.

    Returns
    -------
    ``edge_index`` int64 ``(2, n_edges)``; ``edge_attr`` the distance in pitches, float32 ``(n_edges, 1)``; ``pos`` the
    centres, float32. Nodes keep the order of ``pitch_xy``.
    """
    from torch_geometric.data import Data  # takes seconds to import, and training does without it

    edges = radius_edges(pitch_xy, radius)
    distance = np.linalg.norm(pitch_xy[edges[0]] - pitch_xy[edges[1]], axis=1).astype(np.float32)
    return Data(
        edge_index=torch.from_numpy(edges),
        edge_attr=torch.from_numpy(distance[:, None]),
        pos=torch.from_numpy(pitch_xy.astype(np.float32)),
        num_nodes=len(pitch_xy),
    )


def neighbour_mask(edges: NDArray[np.int64], n_spots: int) -> Tensor:
    """Lay edges out as a boolean matrix, shape ``(n_spots, n_spots)``; row = receiver, column = sender."""
    mask = torch.zeros(n_spots, n_spots, dtype=torch.bool)
    mask[edges[1], edges[0]] = True
    return mask


def neighbour_mean(edges: NDArray[np.int64], n_spots: int) -> Tensor:
    """Lay edges out as a sparse matrix whose product with node values is the mean over each receiver's senders."""
    degree = np.bincount(edges[1], minlength=n_spots)
    share = torch.from_numpy((1.0 / degree[edges[1]]).astype(np.float32))
    rows_columns = torch.from_numpy(edges[::-1].copy())
    return torch.sparse_coo_tensor(rows_columns, share, (n_spots, n_spots), is_coalesced=True, check_invariants=True)
