"""Which slides a folder of bare images holds, and where their files are.

Belongs here: names, patients, presence and safety of files. Does not belong here: opening images, spots
(``slides_only``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gr2st_core.cohorts.cohort_file import COHORT_FILE
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.given_spots import CSV
from gr2st_core.cohorts.listing import Listing, check_inside, check_one
from gr2st_core.cohorts.patients import PATIENTS_FILE
from gr2st_core.cohorts.records import IMAGE, SectionEntry
from gr2st_core.cohorts.scale import facts_file
from gr2st_core.images.slides import IMAGE_STARTS
from gr2st_core.images.tiled_files import MIRAX
from gr2st_core.keys import SectionKey

SPOTS, TILES = "spots", "tiles"
"""Roles: given coordinates, the folder of tiles of a mrxs slide."""

SPOTS_FOLDER = "spots"
TSV = ".tsv"

_IMAGE_SUFFIXES = (".ome.tiff", ".ome.tif", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".svs", ".ndpi", MIRAX)
_NOTES = {"", ".txt", ".md", ".pdf", ".sha256", ".md5"}
"""Suffixes of files that people put beside data: licences, notes, checksums."""


@dataclass(slots=True)
class _Found:
    """Files of one section as their names say, nothing checked."""

    images: list[Path] = field(default_factory=list)
    spots: list[Path] = field(default_factory=list)


def holds_images(folder: Path) -> bool:
    """Whether a file of the folder itself is named and starts as an image."""
    return any(_section_of(path) is not None and _starts_as_image(path) for path in _visible(folder))


class SlidesListing(Listing[_Found]):
    """Lists the slides of a folder.

    The patient of one is what ``patients.tsv`` says, else itself: it has no counts, so it is predicted and never
    trained on, and nothing is held out by its patient.
    """

    def find(self) -> Mapping[str, _Found]:
        """Images and given spots by section."""
        return _find(self.folder, self.faults)

    def entry(self, key: SectionKey, found: _Found, faults: Faults) -> SectionEntry:
        """Make the entry of a slide."""
        check_one("image", found.images, faults, file=self.folder / key.section_id)
        if found.spots:
            check_one("spot file", found.spots, faults, file=found.spots[0])
        files = dict(_roles(found, self.folder))
        check_inside(files.values(), self.folder, faults, may_be_folders=True)
        return SectionEntry(key, self.patients.get(key.section_id, key.section_id), files)


def _find(folder: Path, faults: Faults) -> dict[str, _Found]:
    """Files by section; whatever is neither a slide, its spots nor a note is a fault."""
    found: dict[str, _Found] = {}
    visible = _visible(folder)
    tiles = {path.with_suffix("") for path in visible if path.suffix.lower() == MIRAX}
    strangers = []
    for path in visible:
        section = _section_of(path)
        if section is not None:
            found.setdefault(section, _Found()).images.append(path)
        elif path.name.endswith(CSV):
            found.setdefault(path.name.removesuffix(CSV), _Found()).spots.append(path)
        elif not (path in tiles or path.name in {SPOTS_FOLDER, PATIENTS_FILE, COHORT_FILE} or _is_note(path)):
            strangers.append(path.name)
    for path in _visible(folder / SPOTS_FOLDER):
        if path.name.endswith(TSV):
            found.setdefault(path.name.removesuffix(TSV), _Found()).spots.append(path)
        else:
            strangers.append(f"{SPOTS_FOLDER}/{path.name}")
    if strangers:
        faults.add(
            "a folder of slides holds other files, which nobody reads",
            file=folder,
            found=strangers[:10],
            expected=f"images, <section>{CSV} or {SPOTS_FOLDER}/<section>{TSV}, {PATIENTS_FILE}, {COHORT_FILE}",
            hint="move them elsewhere; if they hold counts, the folder has another layout than they are known by",
        )
    return found


def _visible(folder: Path) -> list[Path]:
    """Content of a folder but for hidden names and those that begin with ``_``; nothing if it cannot be listed."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "_")))
    except OSError:
        return []


def _section_of(path: Path) -> str | None:
    """Name of the section whose image a file is by its own name, None if it is no image."""
    lower = path.name.lower()
    suffix = next((suffix for suffix in _IMAGE_SUFFIXES if lower.endswith(suffix)), None)
    return path.name[: -len(suffix)] if suffix and not path.is_dir() else None


def _is_note(path: Path) -> bool:
    return path.suffix.lower() in _NOTES and not path.is_dir()


def _starts_as_image(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(8).startswith(IMAGE_STARTS)
    except OSError:
        return False


def _roles(found: _Found, folder: Path) -> Iterator[tuple[str, Path]]:
    for image in found.images[:1]:
        yield IMAGE, image
        tiles = image.with_suffix("")
        if image.suffix.lower() == MIRAX and tiles.is_dir():
            yield TILES, tiles
    for spots in found.spots[:1]:
        yield SPOTS, spots
    yield from facts_file(folder).items()
