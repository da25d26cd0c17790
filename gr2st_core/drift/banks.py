"""Training spots in a whitened space of patch features, and how far other spots lie from them.

Belongs here: the space and its search. Does not belong here: what distance is too far (``reference``).

Source: Sun et al., "Out-of-distribution detection with deep nearest neighbors", ICML 2022: the distance to the k-th
nearest training feature. We differ: features are whitened principal components, since those of a frozen encoder are
unlike in scale and repeat each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gr2st_core.drift.samples import SpotSample
from gr2st_core.errors import MissingArtifactError
from gr2st_core.models.linear import Projection, fit_projection
from gr2st_core.types import StrArray

Floats = NDArray[np.float64]

_BLOCK = 1024  # query spots compared with the whole bank at once


@dataclass(frozen=True, slots=True)
class Bank:
    """Training spots that others are compared with.

    Attributes
    ----------
    projection
        Patch features to principal components of unit variance among the training spots.
    rows
        Training spots there, shape ``(n_spots, n_components)``.
    section_keys, spot_ids
        Identity of each row: ``cohort/section`` and the id within it.
    """

    projection: Projection
    rows: Floats
    section_keys: StrArray
    spot_ids: StrArray

    @classmethod
    def of(cls, samples: Sequence[SpotSample], n_components: int) -> Bank:
        """Fit the space on all samples; every section weighs as many spots as it has there."""
        features = np.concatenate([sample.features for sample in samples])
        projection = _whitened(features, n_components)
        keys = np.array([sample.section for sample in samples for _ in sample.spot_ids])
        return cls(projection, projection(features), keys, np.concatenate([sample.spot_ids for sample in samples]))

    def search(self, features: NDArray[np.float32], k: int) -> tuple[Floats, NDArray[np.int64]]:
        """Find how far spots lie from the training spots.

        Parameters
        ----------
        features
            Patch features, shape ``(n_spots, d_features)``.
        k
            Which neighbour's distance counts; at most the whole bank.

        Returns
        -------
        Distance to the k-th nearest training spot in standard deviations of a component, ``(n_spots,)``, and rows of
        the k nearest, nearest first, ``(n_spots, k)``.

        Raises
        ------
        MissingArtifactError
            Features of another width than in training.
        """
        if features.shape[1] != len(self.projection.mean):
            raise MissingArtifactError(
                "patch features have another width than in training",
                expected=len(self.projection.mean),
                found=features.shape[1],
            )
        n = min(k, len(self.rows))
        distances, nearest = np.empty(len(features)), np.empty((len(features), n), dtype=np.int64)
        squares = np.square(self.rows).sum(axis=1)
        for start in range(0, len(features), _BLOCK):
            own = slice(start, start + _BLOCK)
            queries = self.projection(features[own])
            squared = np.square(queries).sum(axis=1)[:, None] + squares - 2 * queries @ self.rows.T
            near = np.sort(np.argpartition(squared, n - 1, axis=1)[:, :n], axis=1)
            order = np.argsort(np.take_along_axis(squared, near, axis=1), axis=1, kind="stable")
            nearest[own] = np.take_along_axis(near, order, axis=1)
            distances[own] = np.sqrt(np.maximum(np.take_along_axis(squared, nearest[own], axis=1)[:, -1], 0))
        return distances, nearest


def _whitened(features: NDArray[np.float32], n_components: int) -> Projection:
    projection = fit_projection(features, n_components)
    spread = projection(features).std(axis=0)
    return Projection(projection.mean, (projection.basis / spread).astype(np.float32))
