"""The method ``low_rank``: choose settings inside training, average the best, store one linear map.

Belongs here: the course of a fit and the account of it. Does not belong here: the solver, the search, prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from gr2st_core.models.blocks import BLOCK_SETS, encoders_of
from gr2st_core.models.linear import with_features
from gr2st_core.models.low_rank.fitted import FittedLowRank, restore
from gr2st_core.models.low_rank.loadings import shared_correlation
from gr2st_core.models.low_rank.search import grid, search
from gr2st_core.models.low_rank.training import Training
from gr2st_core.models.stored import describe, read_panel
from gr2st_core.predictor import FitRequest, ModelState, Needs
from gr2st_core.settings import LowRankSettings
from gr2st_core.types import TrainSection, patients_of


class LowRankPredictor:
    """Ridge from feature blocks to gene directions, cut to the few that images predict.

    Parameters
    ----------
    block_set
        ``m224``, ``ctx`` or ``tcg``.
    counts_only
        Learn gene directions also from sections without an image of further patients; the profile is then named
        ``<block_set>_counts``.

    Notes
    -----
    Features and genes are centred and scaled within each training section, as the score is a correlation within
    sections. Every scale, direction and coefficient is refitted in every inner split. Counts-only sections count where
    their patient has no training section, so that inner splits are as far from them as the outer one. Time grows with
    the cube of the number of training spots.
    """

    method: ClassVar[str] = "low_rank"

    def __init__(self, block_set: str, settings: LowRankSettings, *, counts_only: bool = False) -> None:
        self.blocks = BLOCK_SETS[block_set]
        self.settings = settings
        self.profile = f"{block_set}_counts" if counts_only else block_set
        self.needs = Needs(features=encoders_of(self.blocks), counts_only=counts_only)

    def fit(self, request: FitRequest) -> FittedLowRank:
        """Choose settings on inner splits, then solve them on all training sections that have an image.

        Raises
        ------
        MissingArtifactError, SplitError
        """
        sections = with_features(request.sections, self.needs.features)
        extra = _of_other_patients(request.counts_only, sections) if self.needs.counts_only else []
        shared = shared_correlation(extra, request.panel, request.target)

        def prepare(train: Sequence[TrainSection]) -> Training:
            return Training.of(train, self.blocks, request, self.settings.clip, shared)

        candidates = grid(self.settings, counts_only=bool(extra))
        found = search(candidates, request, sections, prepare, self.settings.n_averaged)
        training = prepare(sections)
        config = {
            **describe(self.method, self.profile, self.needs.features, request, sections),
            "blocks": [[block.name, width] for block, width in zip(self.blocks, training.widths, strict=True)],
            "counts_only": [{"section": str(s.key), "patient": s.patient_id} for s in extra],
            "settings": self.settings.model_dump(mode="json"),
            "choice": found.as_config(),
        }
        mean, spread = (array.astype(np.float32) for array in (training.targets.mean, training.targets.spread))
        linear = training.combine(found.best)
        return FittedLowRank(
            self.blocks, training.widths, request.panel, training.scaling, linear, mean, spread, config
        )

    def load(self, state: ModelState) -> FittedLowRank:
        """Restore; any difference from what `FittedLowRank.state` writes is an error."""
        return restore(state, read_panel(state, self.method, self.profile, self.needs.features), self.blocks)


def _of_other_patients(extra: Sequence[TrainSection], sections: Sequence[TrainSection]) -> list[TrainSection]:
    """Counts-only sections of patients without a training section: none is of a patient that an inner split tests."""
    known = set(patients_of(sections))
    return [section for section in extra if not known & set(patients_of([section]))]
