"""Which training spots a prediction was looked up from, by name.

Belongs here: what a method that looks spots up can tell of it. Does not belong here: the search (``bank``, and the
methods that have their own), prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gr2st_core.types import ImageSection, StrArray


@dataclass(frozen=True, slots=True)
class References:
    """Training spots of each query spot, the heaviest first; all arrays ``(n_query, k)``.

    Attributes
    ----------
    section_keys, spot_ids
        Identity, ``cohort/section`` and the id within it.
    weights
        Share of each in the average that was looked up, float32, descending; a row sums to at most 1, and to 1 where
        ``k`` names every spot that was averaged.
    part
        Component of the prediction that is this average; ``values`` where the prediction is nothing else.
    share
        Share of that part in the prediction, 0..1.
    """

    section_keys: StrArray
    spot_ids: StrArray
    weights: NDArray[np.float32]
    part: str
    share: float

    @classmethod
    def of(
        cls, spots: HasIds, index: NDArray[np.int64], weights: NDArray[Any], k: int, *, part: str, share: float
    ) -> References:
        """Name the ``k`` heaviest of the rows ``index`` of a bank, both ``(n_query, n_averaged)``; ties in order."""
        heaviest = np.argsort(-weights, axis=1, kind="stable")[:, :k]
        rows, kept = (np.take_along_axis(array, heaviest, axis=1) for array in (index, weights))
        return cls(spots.section_keys[rows], spots.spot_ids[rows], kept.astype(np.float32), part, share)


class HasIds(Protocol):
    """Rows of a bank by name, each ``(n_reference,)``."""

    @property
    def section_keys(self) -> StrArray:
        """``cohort/section``."""
        ...

    @property
    def spot_ids(self) -> StrArray:
        """Id within the section."""
        ...


@runtime_checkable
class LooksUp(Protocol):
    """A trained method that averages training spots, wholly or in one part of its prediction."""

    def references(self, section: ImageSection, k: int) -> References | None:
        """Name the ``k`` heaviest reference spots of each spot, fewer if fewer are averaged.

        Returns
        -------
        Rows in the order of the section's spots; None if the method is made of parts and none looks spots up.

        Raises
        ------
        LeakageError, MissingArtifactError
            As ``predict``.
        """
        ...
