"""Spatial autocorrelation: whether a predicted map is as smooth as the measured one.

Belongs here: Moran's I on a given graph, and how that of predictions relates to that of the truth. Does not belong
here: building the graph (``graphs.spatial``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.stats import spearmanr

from gr2st_core.errors import AlignmentError
from gr2st_core.evaluation.metrics import is_constant, mean_of_defined

Floats = NDArray[np.float64]


def morans_i(values: ArrayLike, edges: NDArray[np.integer]) -> Floats:
    """Moran's I of every column, shape ``(n_genes,)``.

    Parameters
    ----------
    values
        Shape ``(n_spots, n_genes)``.
    edges
        Sender and receiver as row numbers, shape ``(2, n_edges)``, both directions, each once; an edge of a spot with
        itself is left out.

    Returns
    -------
    About -1 / (n_spots - 1) for a random map, towards 1 for a smooth one; NaN for a constant gene, and for all where
    no spot has a neighbour.

    Raises
    ------
    AlignmentError
        An edge names a spot that is not there.

    Notes
    -----
    I = (n / S0) z'Wz / z'z with centred z. The weights of a spot's neighbours sum to one, as in squidpy and PySAL, so
    spots at the border count like others and S0 is the number of spots with a neighbour.
    """
    matrix = np.asarray(values, dtype=np.float64)
    weights = _row_standardised(edges, len(matrix))
    z = matrix - matrix.mean(axis=0)
    n_connected = float(weights.sum())
    found = np.full(matrix.shape[1], np.nan)
    if n_connected > 0:
        numerator = np.einsum("sg,sg->g", z, weights @ z) * len(matrix) / n_connected
        np.divide(numerator, np.square(z).sum(axis=0), out=found, where=~is_constant(matrix))
    return found


def _row_standardised(edges: NDArray[np.integer], n_spots: int) -> sparse.csr_matrix:
    if edges.size and (edges.min() < 0 or edges.max() >= n_spots):
        raise AlignmentError("edges name rows of the values", expected=n_spots, found=int(edges.max()))
    sender, receiver = edges[:, edges[0] != edges[1]]
    degree = np.bincount(receiver, minlength=n_spots)
    return sparse.csr_matrix((1.0 / degree[receiver], (receiver, sender)), shape=(n_spots, n_spots))


@dataclass(frozen=True, slots=True)
class MoranPreservation:
    """How the Moran's I of predicted genes relates to that of the measured ones, in one section.

    Attributes
    ----------
    observed, predicted
        Means over genes where both are defined. Counting noise lowers the truth's, so even a perfect prediction of the
        expected expression lies above it; how far apart methods are says which smooths most.
    error
        Mean absolute difference over these genes.
    correlation
        Spearman over these genes: whether the genes that form patterns are those predicted to; NaN with fewer than
        three, or where one side is constant.
    n_undefined
        Genes left out.
    """

    observed: float
    predicted: float
    error: float
    correlation: float
    n_undefined: int


def moran_preservation(observed: ArrayLike, predicted: ArrayLike) -> MoranPreservation:
    """Compare the Moran's I of truth and prediction over genes, both of shape ``(n_genes,)``."""
    truth, guess = np.asarray(observed, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    defined = ~(np.isnan(truth) | np.isnan(guess))
    a, b = truth[defined], guess[defined]
    comparable = len(a) > 2 and np.ptp(a) > 0 and np.ptp(b) > 0
    return MoranPreservation(
        mean_of_defined(a),
        mean_of_defined(b),
        mean_of_defined(np.abs(a - b)),
        float(spearmanr(a, b).statistic) if comparable else float("nan"),
        int((~defined).sum()),
    )
