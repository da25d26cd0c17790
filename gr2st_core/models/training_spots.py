"""Identity of the training spots that a method looks up when it predicts.

Belongs here: which section and spot each row of a bank is, and the refusal of a query that is in it. Does not belong
here: what else a bank holds, searching it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import CheckpointError, LeakageError
from gr2st_core.types import ImageSection, StrArray, TrainSection

ID_ARRAYS = ("section_keys", "spot_ids")


@dataclass(frozen=True, slots=True)
class TrainingSpots:
    """Rows of a bank: ``cohort/section`` and spot id, each shape ``(n_spots,)``."""

    section_keys: StrArray
    spot_ids: StrArray

    @classmethod
    def of(cls, sections: Sequence[TrainSection]) -> TrainingSpots:
        """All spots of the sections, in the order given."""
        keys = [str(s.key) for s in sections for _ in range(s.image.n_spots)]
        return cls(np.array(keys), np.concatenate([s.image.spot_ids for s in sections]))

    def __len__(self) -> int:
        return len(self.section_keys)

    def refuse(self, section: ImageSection) -> None:
        """Refuse a query whose own expression would be looked up.

        Raises
        ------
        LeakageError
        """
        if (self.section_keys == str(section.key)).any():
            raise LeakageError("the method was trained on this section", section=str(section.key))

    def to_arrays(self) -> dict[str, NDArray[np.uint8]]:
        """Ids as UTF-8 bytes, one id a line."""
        return {name: _to_bytes(getattr(self, name)) for name in ID_ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], n_spots: int) -> TrainingSpots:
        """Read what `to_arrays` wrote, for a bank of ``n_spots`` rows.

        Raises
        ------
        CheckpointError
        """
        if missing := sorted(set(ID_ARRAYS) - set(arrays)):
            raise CheckpointError("a bank names its spots", field=missing, found=sorted(arrays))
        keys, ids = (_from_bytes(name, arrays[name]) for name in ID_ARRAYS)
        if not len(keys) == len(ids) == n_spots:
            raise CheckpointError("one id per row of the bank", expected=n_spots, found=(len(keys), len(ids)))
        return cls(keys, ids)


def _to_bytes(names: StrArray) -> NDArray[np.uint8]:
    return np.frombuffer("\n".join(names.tolist()).encode(), dtype=np.uint8).copy()


def _from_bytes(name: str, stored: NDArray[Any]) -> StrArray:
    try:
        return np.array(stored.tobytes().decode().split("\n"))
    except UnicodeDecodeError as error:
        raise CheckpointError("stored ids are UTF-8", field=name) from error
