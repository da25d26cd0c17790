"""Standardisation and principal components of patch features, fitted on training spots.

Belongs here: what ridge and nearest neighbours share before they differ. Does not belong here: targets, choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from gr2st_core.errors import MissingArtifactError
from gr2st_core.predictor import stack_features
from gr2st_core.types import ImageSection, TrainSection

Floats = NDArray[np.float64]

_RELATIVE_RANK = 1e-10
"""Share of the largest variance below which a direction is rounding noise."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Features to principal components, by training statistics alone.

    Attributes
    ----------
    mean
        Of the training features, float32 ``(d_features,)``.
    basis
        Standardisation and rotation in one, float32 ``(d_features, n_components)``; zero for a feature that was
        constant in training.
    """

    mean: NDArray[np.float32]
    basis: NDArray[np.float32]

    def __call__(self, features: NDArray[np.float32]) -> Floats:
        """Coordinates of spots, shape ``(n_spots, n_components)``, largest variance first."""
        return np.asarray((features.astype(np.float64) - self.mean) @ self.basis.astype(np.float64))


def fit_projection(features: NDArray[np.float32], max_components: int) -> Projection:
    """Standardise each feature and keep the largest principal components.

    Parameters
    ----------
    features
        Training spots, shape ``(n_spots, d_features)``.
    max_components
        Kept at most; directions without variance are never kept.

    Notes
    -----
    Of each component the sign is such that its largest loading is positive, so equal input gives equal bytes.
    """
    x = features.astype(np.float64)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    varies = spread > 1e-6 * np.abs(x).max(axis=0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)
    axes = principal_axes((x - mean) * scale, max_components)
    return Projection(mean.astype(np.float32), (scale[:, None] * axes).astype(np.float32))


def principal_axes(z: Floats, max_components: int) -> Floats:
    """Directions of the largest second moments of rows, orthonormal columns ``(d, k)``, of a fixed sign.

    Computed from the smaller of the two cross products; directions without variance are never among them.
    """
    is_wide = z.shape[0] < z.shape[1]
    cross = z @ z.T if is_wide else z.T @ z
    last = len(cross) - 1
    values, vectors = linalg.eigh(cross, subset_by_index=(max(0, last - max_components + 1), last))
    kept = values > max(_RELATIVE_RANK * values[-1], np.finfo(np.float64).tiny)
    values, vectors = values[kept][::-1], vectors[:, kept][:, ::-1]
    axes = z.T @ (vectors / np.sqrt(values)) if is_wide else vectors
    largest = np.abs(axes).argmax(axis=0)
    return np.asarray(axes * np.sign(axes[largest, np.arange(axes.shape[1])]))


def with_features(sections: Sequence[TrainSection], names: Sequence[str]) -> list[TrainSection]:
    """Sections that a method on patch features can learn from: those with an image.

    Raises
    ------
    MissingArtifactError
        None has features, or one has some but not all of ``names``.
    """
    usable = [section for section in sections if section.image.features]
    if not usable:
        raise MissingArtifactError("no training section has patch features", encoder=list(names), found=len(sections))
    for section in usable:
        stack_features(section.image, names)
    return usable


def stack_training(sections: Sequence[TrainSection], names: Sequence[str]) -> NDArray[np.float32]:
    """Feature rows of all sections, one below the other, in the order given."""
    return np.concatenate([stack_features(section.image, names) for section in sections])


def require_width(section: ImageSection, features: NDArray[np.floating], width: int) -> None:
    """Refuse features of another width than in training.

    Raises
    ------
    MissingArtifactError
    """
    if features.shape[1] != width:
        raise MissingArtifactError(
            "patch features have another width than in training",
            section=str(section.key),
            expected=width,
            found=features.shape[1],
        )
