"""Sections of a training job, read when a step comes to them.

Belongs here: keeping as many as fit. Does not belong here: reading itself (``sources``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from gr2st_core.keys import Target
from gr2st_core.models.comparators.inputs import SectionInputs, SectionTruth
from gr2st_core.models.comparators.sources import Reader
from gr2st_core.types import Panel, TrainSection

KEPT_BYTES = 2 << 30
"""Rows kept in memory by one job; beyond them sections are read again in each epoch."""


class LazySections:
    """What training sees of each section, on the device that trains.

    Parameters
    ----------
    sections
        In the order of their numbers.
    reader
        Of the spots' rows.
    n_positions
        Rows of the position tables.
    """

    def __init__(
        self,
        sections: Sequence[TrainSection],
        reader: Reader,
        panel: Panel,
        target: Target,
        *,
        n_positions: int,
        device: torch.device,
    ) -> None:
        self.sections, self.reader, self.panel, self.target = sections, reader, panel, target
        self.n_positions, self.device = n_positions, device
        self._kept: dict[int, tuple[SectionInputs, SectionTruth]] = {}
        self._kept_bytes = 0

    def __len__(self) -> int:
        return len(self.sections)

    def __iter__(self) -> Iterator[tuple[SectionInputs, SectionTruth]]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> tuple[SectionInputs, SectionTruth]:
        if number in self._kept:
            return self._kept[number]
        section = self.sections[number]
        rows = self.reader(section.image)
        read = (
            SectionInputs.of(section.image, rows, self.n_positions).to(self.device),
            SectionTruth.of(section, self.panel, self.target).to(self.device),
        )
        if self._kept_bytes + rows.nbytes <= KEPT_BYTES:
            self._kept[number] = read
            self._kept_bytes += rows.nbytes
        return read
