"""Which cohorts the lake knows.

Belongs here: the register (one JSON a cohort in the lake): sections that passed inspection, and faults of those that
did not. Does not belong here: inspection (``inspection``), parsing (``parsing``), Dagster.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr2st_assets.documents import decode, encode
from gr2st_assets.lake import Lake
from gr2st_assets.publish import write_atomic
from gr2st_core.errors import DataError, MissingArtifactError
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    from gr2st_core.cohorts.records import SectionEntry

FOLDER = "_cohorts"
_FLAGS = ("is_synthetic", "is_from_inbox")
_TOLD = "is_told"
FAULT_FIELDS = ("section", "file", "field", "found", "expected", "hint")


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
    contents
        Digests by section key: of each section's ``counts`` and ``image``, and of its ``entry``, which is another when
        anything that is made from the section may be: patient, any file, cohort file.
    is_from_inbox
        Whether it arrived by itself: such a cohort is trained on and predicted when all its sections are there.
    """

    name: str
    folder: Path
    layout: str
    is_synthetic: bool
    entries: "tuple[SectionEntry, ...]"
    contents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    is_from_inbox: bool = False

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


def save(lake: Lake, cohort: RegisteredCohort, faults: Sequence[DataError] = ()) -> None:
    """Write the cohort, and the faults of what was refused of it, replacing what stood under its name.

    It counts as not told to Dagster until ``mark_told``.
    """
    record = {
        "name": cohort.name,
        "folder": str(cohort.folder),
        "layout": cohort.layout,
        "is_synthetic": cohort.is_synthetic,
        "is_from_inbox": cohort.is_from_inbox,
        "sections": [
            {**entry.to_json(cohort.folder), "contents": dict(cohort.contents.get(str(entry.key), {}))}
            for entry in cohort.entries
        ],
        "faults": [_fault_record(fault) for fault in faults],
        _TOLD: False,
    }
    write_atomic(lake.root / FOLDER / f"{cohort.name}.json", encode(record))


def note_faults(lake: Lake, name: str, faults: Sequence[DataError]) -> None:
    """Replace the faults of a cohort, and leave its sections as they are registered."""
    record = {**_record(lake, name), "faults": [_fault_record(fault) for fault in faults]}
    write_atomic(lake.root / FOLDER / f"{name}.json", encode(record))


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
    return RegisteredCohort(
        record["name"],
        folder,
        record["layout"],
        record["is_synthetic"],
        entries,
        contents_of(lake, name),
        record["is_from_inbox"],
    )


def _record(lake: Lake, name: str) -> dict[str, Any]:
    path = lake.root / FOLDER / f"{name}.json"
    if not path.exists():
        raise MissingArtifactError(
            "no such cohort", cohort=name, found=names(lake), hint="gr2st cohort add NAME FOLDER"
        )
    return decode(path.read_bytes(), path, "name", "folder", "layout", *_FLAGS, "sections", "faults")


def _fault_record(fault: DataError) -> dict[str, str | None]:
    said = {name: fault.context.get(name) for name in FAULT_FIELDS}
    return {"message": fault.message, **{name: None if value is None else str(value) for name, value in said.items()}}


def faults(lake: Lake, name: str) -> list[dict[str, str | None]]:
    """Records of what was refused of a cohort when it was last inspected: ``message`` and ``FAULT_FIELDS``."""
    return list(_record(lake, name)["faults"])


def patients(lake: Lake, name: str) -> dict[SectionKey, str]:
    """Patient of every registered section of a cohort."""
    return {SectionKey.parse(section["key"]): section["patient_id"] for section in _record(lake, name)["sections"]}


def forget(lake: Lake, name: str, keys: Collection[SectionKey]) -> None:
    """Take sections out of the register, and the cohort with its last one."""
    if name not in names(lake):
        return
    gone = {str(key) for key in keys}
    record = _record(lake, name)
    record["sections"] = [section for section in record["sections"] if section["key"] not in gone]
    path = lake.root / FOLDER / f"{name}.json"
    if record["sections"]:
        write_atomic(path, encode(record))
    else:
        path.unlink()


def with_image(lake: Lake, name: str) -> dict[str, bool]:
    """Whether each registered section of a cohort has an image, by section key."""
    return {section["key"]: "image" in section["files"] for section in _record(lake, name)["sections"]}


def contents_of(lake: Lake, name: str) -> dict[str, dict[str, str]]:
    """Digests of every section of a cohort, by section key, as in ``RegisteredCohort``."""
    return {section["key"]: section["contents"] for section in _record(lake, name)["sections"]}


def told_contents(lake: Lake, name: str) -> dict[str, dict[str, str]]:
    """``contents_of`` a cohort as Dagster was told them: none if it is new, or was registered and never told."""
    if name not in names(lake) or not _record(lake, name).get(_TOLD, True):  # older registers do not say
        return {}
    return contents_of(lake, name)


def mark_told(lake: Lake, name: str) -> None:
    """Note that Dagster knows of all sections of a cohort as they are registered."""
    write_atomic(lake.root / FOLDER / f"{name}.json", encode({**_record(lake, name), _TOLD: True}))


def is_from_inbox(lake: Lake, name: str) -> bool:
    """Tell whether a cohort arrived by itself."""
    return bool(_record(lake, name)["is_from_inbox"])


def known_flags(lake: Lake, name: str, folder: Path) -> dict[str, bool]:
    """``is_synthetic`` and ``is_from_inbox`` of the cohort of this name if it lies in this folder; else none."""
    record = _record(lake, name) if name in names(lake) else {"folder": None}
    return {flag: record["folder"] == str(folder) and bool(record[flag]) for flag in _FLAGS}


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
