"""Reader of slides without counts: a folder of images, one section each.

Belongs here: where a slide's spots and scale come from. Does not belong here: finding the files
(``slides_listing``), the grid (``spot_grid``), decoding (``images``).

::

    <section>.jpg | png | tif | tiff | ome.tiff | svs | ndpi | mrxs
    <section>.spots.csv  spot_id,pixel_x,pixel_y        (optional: given coordinates)
    spots/<section>.tsv  the same, separated by tabs    (optional)
    patients.tsv         section_id patient_id          (optional: without it a section is its own patient)
    cohort.yml           pitch_um, um_per_px            (optional)

Um per px is what the image file declares, else ``um_per_px`` of the cohort file, else follows from given
coordinates and its ``pitch_um``. Without given coordinates spots are laid ``pitch_um`` apart over the tissue.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from gr2st_core.cohorts.cohort_file import COHORT_FILE, CohortFile, read_cohort_file
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.given_spots import CSV, given_pitch_px, read_given_spots
from gr2st_core.cohorts.records import IMAGE, RawSection, SectionEntry
from gr2st_core.cohorts.scale import FACTS
from gr2st_core.cohorts.slides_listing import SPOTS, SlidesListing, holds_images
from gr2st_core.cohorts.spot_grid import lay_grid
from gr2st_core.cohorts.spot_table import SpotTable
from gr2st_core.errors import DataError
from gr2st_core.images.pixels import SlideImage
from gr2st_core.images.slides import open_slide
from gr2st_core.settings import DEFAULT_LIMITS, Limits

PITCH_UM = 100.0
"""Distance of the spots that are laid, if nobody says another: that of Visium."""


class SlidesReader:
    """Reads folders of images without counts; any other reader goes first, since all cohorts hold images."""

    layout: ClassVar[str] = "slides"
    expects: ClassVar[str] = f"images by themselves, with <section>{CSV} and {COHORT_FILE} where needed"

    def recognises(self, folder: Path) -> bool:
        """Tell whether the folder itself holds an image."""
        return holds_images(folder)

    def entries(self, name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
        """List the sections, and every fault that a listing can see."""
        return SlidesListing(name, folder).listed()

    def read(self, entry: SectionEntry, limits: Limits = DEFAULT_LIMITS) -> RawSection:
        """Take or lay the spots of one slide; a grid needs its tissue, so an image without a pyramid is decoded."""
        faults = Faults(section=str(entry.key))
        facts = read_cohort_file(entry.files[FACTS].parent, faults) if FACTS in entry.files else CohortFile()
        path = entry.files.get(SPOTS)
        given = None if path is None else read_given_spots(path, faults, max_spots=limits.max_spots)
        try:
            slide = open_slide(entry.files[IMAGE], max_megapixels=limits.max_megapixels, section=str(entry.key))
        except DataError as error:
            faults.found.append(error)
            faults.raise_any("a slide cannot be read")
            raise
        return place_spots(
            slide,
            entry,
            given,
            um_per_px=slide.um_per_px or facts.um_per_px,
            pitch_um=facts.pitch_um,
            faults=faults,
            max_spots=limits.max_spots,
        )


def place_spots(
    slide: SlideImage,
    entry: SectionEntry,
    given: SpotTable | None,
    *,
    um_per_px: float | None,
    pitch_um: float | None,
    faults: Faults,
    max_spots: int,
) -> RawSection:
    """Make a section of a slide: with the given spots, else with a grid over its tissue.

    Parameters
    ----------
    um_per_px
        What is stated of the slide's scale; None leaves it to ``pitch_um`` and the given spots.
    pitch_um
        Distance of neighbouring spots; None: as given, of a grid ``PITCH_UM``.

    Raises
    ------
    DataError
        Everything that ``faults`` has, or nothing says what the scale is, or there is no tissue to lay a grid on.
    """
    pitch_px = float("nan") if given is None else given_pitch_px(given)
    scale = _um_per_px(slide, um_per_px, pitch_um, pitch_px, faults)
    faults.raise_any("a slide cannot be read")
    if pitch_um is not None or not pitch_px > 0:
        pitch_px = (pitch_um or PITCH_UM) / scale
    spots = lay_grid(slide, pitch_px, faults, max_spots=max_spots) if given is None else given
    faults.raise_any("a slide cannot be read")
    return RawSection(
        key=entry.key,
        patient_id=entry.patient_id,
        spot_ids=spots.spot_ids,
        array_xy=spots.array_xy,
        pixel_xy=spots.pixel_xy,
        counts=None,
        pitch_um=pitch_px * scale,
        pitch_px=pitch_px,
        um_per_px=scale,
        image_path=entry.image_path,
        n_spots_without_counts=0,
    )


def _um_per_px(
    slide: SlideImage, stated: float | None, pitch_um: float | None, pitch_px: float, faults: Faults
) -> float:
    """Scale of a slide; NaN, and a fault that says how to give it, if nobody states it."""
    if stated is None and pitch_um is not None and pitch_px > 0:
        stated = pitch_um / pitch_px
    if stated is None:
        faults.add(
            "nothing says how many micrometres a pixel is",
            file=slide.path,
            field="um_per_px",
            expected=f"a resolution in the image file (scanner's, OME or TIFF), or um_per_px in {COHORT_FILE}",
            hint=f"write `um_per_px: <micrometres of a pixel>` into {COHORT_FILE}; of a single slide, say --um-per-px",
        )
        return float("nan")
    return stated
