"""Spots of a section against the spots of training: how unlike anything seen each of them is.

Belongs here: the reference with its calibration, and scores of spots. Does not belong here: sections as wholes
(``measures``); no counts are read, so a slide to be predicted can be scored too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gr2st_core.drift.banks import Bank
from gr2st_core.drift.samples import SpotSample, Units, units_of
from gr2st_core.errors import MissingArtifactError
from gr2st_core.settings import DriftSettings
from gr2st_core.types import BoolArray, StrArray

Floats = NDArray[np.float64]

_MOST_GROUPS = 20
"""Fits are the price of leaving out; with more units than this several share one fit that lacks all of them."""


@dataclass(frozen=True, slots=True)
class SpotScores:
    """How far the spots of a section lie from training; arrays in the order of its spots.

    Attributes
    ----------
    score
        Distance to the k-th nearest training spot in whitened feature space, shape ``(n_spots,)``.
    quantile
        Share of left-out training spots that score less, from 0 to 1; None where nobody could be left out.
    is_above
        Whether the score is above the level of the settings; None likewise.
    nearest_sections, nearest_spots
        ``cohort/section`` and id of the nearest training spots, nearest first, shape ``(n_spots, k)``.
    """

    score: Floats
    quantile: Floats | None
    is_above: BoolArray | None
    nearest_sections: StrArray
    nearest_spots: StrArray


@dataclass(frozen=True, slots=True)
class Reference:
    """Training spots, and what they score when their own patient (or section) is left out.

    Attributes
    ----------
    units
        Who is left out together.
    whole
        All training spots, for sections that are not among them.
    without
        The same without a section's own unit, by training section; empty where nobody can be left out.
    calibration
        Scores of left-out training spots, sorted; empty likewise.
    """

    units: Units
    whole: Bank
    without: Mapping[str, Bank]
    calibration: Floats
    settings: DriftSettings

    @property
    def spot_threshold(self) -> float | None:
        """Score above which a spot is unlike training; None where nobody could be left out."""
        if len(self.calibration) == 0:
            return None
        return float(np.quantile(self.calibration, self.settings.spot_level, method="higher"))

    def score(self, section: str, features: NDArray[np.float32]) -> SpotScores:
        """Score the spots of a section; one of the training sections is compared with the others' units alone.

        Parameters
        ----------
        section
            ``cohort/section``.
        features
            Patch features of the reference's encoder, shape ``(n_spots, d_features)``.

        Raises
        ------
        MissingArtifactError
            Features of another width, or a training section where nobody can be left out: its spots are in the
            reference.
        """
        bank = self.without.get(section, self.whole)
        if section in self.units.of and section not in self.without:
            raise MissingArtifactError("too few training sections to leave one out", section=section)
        distance, nearest = bank.search(features, self.settings.n_neighbours)
        quantile = is_above = None
        if (threshold := self.spot_threshold) is not None:
            quantile = np.searchsorted(self.calibration, distance) / len(self.calibration)
            is_above = distance > threshold
        return SpotScores(distance, quantile, is_above, bank.section_keys[nearest], bank.spot_ids[nearest])


def fit_reference(samples: Sequence[SpotSample], patients: Mapping[str, str], settings: DriftSettings) -> Reference:
    """Fit on training spots, and once more without each patient (or section).

    Parameters
    ----------
    samples
        Spots of each training section that has patch features.
    patients
        Donor by ``cohort/section``; those without a sample are not left out.

    Raises
    ------
    MissingArtifactError
        No sample has a spot.
    """
    kept = [sample for sample in sorted(samples, key=lambda sample: sample.section) if len(sample.spot_ids)]
    if not kept:
        raise MissingArtifactError("no training section has patch features", found=len(samples))
    units = units_of({sample.section: patients[sample.section] for sample in kept})
    without: dict[str, Bank] = {}
    for group in _groups(units):
        others = Bank.of([s for s in kept if units.of[s.section] not in group], settings.n_components)
        without.update({s.section: others for s in kept if units.of[s.section] in group})
    scored = [without[s.section].search(s.features, settings.n_neighbours)[0] for s in kept if without]
    calibration = np.sort(np.concatenate(scored)) if scored else np.empty(0)
    return Reference(units, Bank.of(kept, settings.n_components), without, calibration, settings)


def _groups(units: Units) -> list[set[str]]:
    """Units that are left out at once: each by itself, up to so many."""
    if units.left_out is None:
        return []
    distinct = sorted(set(units.of.values()))
    return [set(distinct[start::_MOST_GROUPS]) for start in range(min(len(distinct), _MOST_GROUPS))]
