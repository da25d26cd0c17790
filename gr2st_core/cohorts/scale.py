"""The scale that a spot grid gives its image.

Belongs here: what the array, the pixels of its spots and the cohort file say together. Does not belong here: scales
that image files state (``images``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gr2st_core.cohorts.cohort_file import COHORT_FILE, CohortFile, read_cohort_file
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.records import SectionEntry
from gr2st_core.cohorts.spot_table import SpotTable, is_staggered, measure_pitch

FACTS = "facts"
"""Role of the cohort file: when it changes, scales do."""

VISIUM_PITCH_UM = 100.0
"""Between neighbouring spots of a Visium slide, which are 55 um wide."""

SQUARE_PITCH_UM = 200.0
"""Between neighbouring spots of the square array of 1,007 spots (data.md 2)."""

STAGGERED_PITCH_UM = 150.0
"""Between neighbouring spots of the staggered array of 1,934 spots, 110 um wide (Wang et al. 2024, methods)."""

_TOLERANCE = 0.05  # by which a stated scale may differ from the one that a stated pitch gives


@dataclass(frozen=True, slots=True)
class Scale:
    """Distance of neighbouring spots in micrometres and in pixels, and micrometres of a pixel."""

    pitch_um: float
    pitch_px: float

    @property
    def um_per_px(self) -> float:
        """Micrometres of one pixel."""
        return self.pitch_um / self.pitch_px


def facts_file(folder: Path) -> dict[str, Path]:
    """Give the cohort file of ``folder`` by its role; nothing where there is none."""
    path = folder / COHORT_FILE
    return {FACTS: path} if path.exists() else {}


def measure_scale(spots: SpotTable, entry: SectionEntry, file: Path, faults: Faults) -> Scale:
    """Measure the scale of a section; what its cohort file states wins over what its array is known to be.

    Parameters
    ----------
    file
        Where ``spots`` come from, for messages.
    faults
        Gets a fault where there is no scale; what is returned then is not to be used.
    """
    facts = facts_of(entry, faults)
    pitch_px = measure_pitch(spots.array_xy, spots.pixel_xy)
    if not len(faults) and not pitch_px > 0:
        faults.add(
            "the scale of the image cannot be measured",
            file=file,
            field="pixel_x, pixel_y",
            found=f"pitch {pitch_px} px",
            expected="two spots that are neighbours on the grid and lie at different pixels",
        )
    known_um = STAGGERED_PITCH_UM if is_staggered(spots.array_xy) else SQUARE_PITCH_UM
    return Scale(stated_pitch_um(facts, pitch_px, entry, faults) or known_um, pitch_px)


def facts_of(entry: SectionEntry, faults: Faults) -> CohortFile:
    """Read the cohort file of a section; without one every field is None."""
    return read_cohort_file(entry.files[FACTS].parent, faults) if FACTS in entry.files else CohortFile()


def stated_pitch_um(facts: CohortFile, pitch_px: float, entry: SectionEntry, faults: Faults) -> float | None:
    """Pitch that the cohort file states, or that follows from the scale that it states; None if it states neither."""
    by_scale = None if facts.um_per_px is None else facts.um_per_px * pitch_px
    if facts.pitch_um and by_scale and abs(by_scale / facts.pitch_um - 1) > _TOLERANCE:
        faults.add(
            "pitch and scale of the cohort file contradict each other",
            file=entry.files[FACTS],
            field="um_per_px",
            found=facts.um_per_px,
            expected=f"{facts.pitch_um / pitch_px:.4g} by the pitch, within {_TOLERANCE:.0%}",
            hint="state one of the two",
        )
    return facts.pitch_um or by_scale
