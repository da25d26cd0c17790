"""Which cohorts the lake knows, and how one gets in.

Belongs here: the register (one JSON a cohort in the lake), and the inspection that a folder must pass first. Does not
belong here: parsing (``gr2st_core.cohorts``), Dagster.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr2st_assets.documents import decode, encode
from gr2st_assets.lake import Lake
from gr2st_assets.publish import write_atomic
from gr2st_core.errors import CohortError, DataError, MissingArtifactError, SchemaError
from gr2st_core.types import SectionKey

if TYPE_CHECKING:
    from gr2st_core.cohorts.records import RawSection, SectionEntry
    from gr2st_core.settings import Settings

FOLDER = "_cohorts"


@dataclass(frozen=True)
class RegisteredCohort:
    """A cohort folder whose sections passed inspection.

    Attributes
    ----------
    name, folder, layout
        What it is called, where it lies, which reader reads it.
    is_synthetic
        Never mixed with other cohorts in external folds.
    entries
        Its sections.
    """

    name: str
    folder: Path
    layout: str
    is_synthetic: bool
    entries: "tuple[SectionEntry, ...]"

    def entry(self, key: SectionKey) -> "SectionEntry":
        """Find one section.

        Raises
        ------
        MissingArtifactError
        """
        for entry in self.entries:
            if entry.key == key:
                return entry
        raise MissingArtifactError("the section is not registered", section=str(key), hint="gr2st cohort add")

    def read(self, key: SectionKey) -> "RawSection":
        """Parse one section with the reader of the cohort's layout.

        Raises
        ------
        DataError
        """
        from gr2st_core.cohorts.registry import READERS

        reader = next(reader for reader in READERS if reader.layout == self.layout)
        return reader.read(self.entry(key))


def save(lake: Lake, cohort: RegisteredCohort) -> None:
    """Write the cohort into the register, replacing what stood under its name."""
    record = {
        "name": cohort.name,
        "folder": str(cohort.folder),
        "layout": cohort.layout,
        "is_synthetic": cohort.is_synthetic,
        "sections": [entry.to_json(cohort.folder) for entry in cohort.entries],
    }
    write_atomic(lake.root / FOLDER / f"{cohort.name}.json", encode(record))


def load(lake: Lake, name: str) -> RegisteredCohort:
    """Read one cohort of the register.

    Raises
    ------
    MissingArtifactError
        No such cohort, or its folder is gone.
    """
    from gr2st_core.cohorts.records import SectionEntry

    record = _record(lake, name)
    folder = Path(record["folder"])
    if not folder.is_dir():
        raise MissingArtifactError("the cohort's folder is gone", cohort=name, file=folder)
    entries = tuple(SectionEntry.from_json(folder, section) for section in record["sections"])
    return RegisteredCohort(record["name"], folder, record["layout"], record["is_synthetic"], entries)


def _record(lake: Lake, name: str) -> dict[str, Any]:
    path = lake.root / FOLDER / f"{name}.json"
    if not path.exists():
        raise MissingArtifactError(
            "no such cohort", cohort=name, found=names(lake), hint="gr2st cohort add NAME FOLDER"
        )
    return decode(path.read_bytes(), path, "name", "folder", "layout", "is_synthetic", "sections")


def section_keys(lake: Lake, name: str) -> list[SectionKey]:
    """List a cohort's registered sections, whether or not its folder is still there."""
    return [SectionKey.parse(section["key"]) for section in _record(lake, name)["sections"]]


def is_synthetic(lake: Lake, name: str) -> bool:
    """Tell whether a cohort is kept apart from the others."""
    return bool(_record(lake, name)["is_synthetic"])


def names(lake: Lake) -> list[str]:
    """Names of all registered cohorts, sorted."""
    folder = lake.root / FOLDER
    return sorted(path.stem for path in folder.iterdir() if path.suffix == ".json") if folder.exists() else []


def inspect(
    name: str, folder: Path, settings: "Settings", progress: Callable[[str, int, int], None]
) -> "tuple[RegisteredCohort, list[DataError]]":
    """Read every section of a folder completely, and collect every fault.

    Returns
    -------
    The cohort with the sections that have no fault, and all faults.

    Raises
    ------
    DataError
        If the folder has no known layout.
    """
    from gr2st_core.cohorts.registry import find_reader
    from gr2st_core.training.folds import EXTERNAL

    if name == EXTERNAL:
        raise SchemaError("this name is kept for folds over cohorts", field="cohort", found=name, hint="choose another")
    reader = find_reader(folder.resolve())
    entries, faults = reader.entries(name, folder.resolve())
    good = []
    for number, entry in enumerate(entries):
        progress(f"{entry.key}", number, len(entries))
        try:
            _inspect_section(reader.read(entry), settings)
        except CohortError as error:
            faults.extend(error.faults)
        except DataError as error:
            faults.append(error)
        else:
            good.append(entry)
    progress("sections read", len(entries), len(entries))
    return RegisteredCohort(name, folder.resolve(), reader.layout, False, tuple(good)), faults


def _inspect_section(raw: "RawSection", settings: "Settings") -> None:
    from gr2st_core.images.slides import open_slide, require_on_image

    if raw.image_path is not None:
        slide = open_slide(raw.image_path, max_megapixels=settings.limits.max_megapixels, section=str(raw.key))
        require_on_image(raw.pixel_xy, slide.size_px, raw.spot_ids, section=str(raw.key))
        slide.pixels()
