"""Which artefacts readers are shown: numbered snapshots of the lake, and the pointer to the current one.

Belongs here: when a table's artefacts may be shown, and history. Does not belong here: making artefacts (``lake``),
views over them (``catalog``), where folds come from (Dagster, the fold table).

A slot without a fold advances on its own. A *fold set* (one table, cohort and split unit; one panel, target and seed)
advances only as a whole: every fold that the fold table names has an artefact, and all carry one generation. Until
then readers keep the set of the manifest before, so they never see two generations in one set. Old artefacts stay on
disk, so going back is moving the pointer.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from gr2st_assets.artefacts import DATA, Fault
from gr2st_assets.documents import decode, encode
from gr2st_assets.lake import Lake
from gr2st_assets.numbered import existing_numbers, numbered_path
from gr2st_assets.publish import create_exclusive, write_atomic
from gr2st_assets.records import Slot
from gr2st_core.errors import DataError, MissingArtifactError, SchemaError

if TYPE_CHECKING:
    from upath import UPath

FOLDER = "_manifests"
POINTER = "_current.json"

Folds = Mapping[tuple[str, str], Sequence[str]]
"""Values of the slot key ``fold``, for each cohort and split unit."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One artefact that readers are shown."""

    digest: str
    generation: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """One complete, uniform state of the lake."""

    number: int
    entries: Mapping[Slot, Entry]

    def tables(self) -> dict[str, dict[Slot, Entry]]:
        """Entries by table, both sorted."""
        tables: dict[str, dict[Slot, Entry]] = {}
        for slot, entry in sorted(self.entries.items()):
            tables.setdefault(slot.table, {})[slot] = entry
        return tables

    def parquet_files(self, lake: Lake) -> dict[str, list[str]]:
        """Absolute paths (or URLs) of the ``data.parquet`` of every table's artefacts, sorted by slot."""
        return {
            table: [str(lake.path(slot, e.digest, DATA)) for slot, e in entries.items() if DATA in e.files]
            for table, entries in self.tables().items()
        }


@dataclass(slots=True)
class FoldSet:
    """The newest artefacts of all folds that are shown together or not at all.

    Attributes
    ----------
    keys
        Slot keys that all folds share.
    newest
        Artefact of each fold by slot; folds without one are in ``missing``.
    """

    table: str
    unit: str
    keys: tuple[tuple[str, str], ...]
    expected: Sequence[str]
    newest: dict[Slot, Entry] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """Folds that the fold table names and that have no artefact."""
        present = {slot.value("fold") for slot in self.newest}
        return [fold for fold in self.expected if fold not in present]

    @property
    def generations(self) -> list[str]:
        """Distinct generations of the artefacts, sorted."""
        return sorted({entry.generation for entry in self.newest.values()})

    @property
    def may_advance(self) -> bool:
        """Whether the set is complete and of one generation."""
        return not self.missing and len(self.generations) == 1


@dataclass(frozen=True, slots=True)
class _Pointer:
    """What readers are shown, and the newest manifest when that was decided: they differ after a rollback."""

    number: int = 0
    newest: int = 0


def current(lake: Lake) -> Manifest | None:
    """Read what readers are shown now; None before the first manifest."""
    number = _pointer(lake).number
    return _read(lake, number) if number else None


def history(lake: Lake) -> list[Manifest]:
    """Read all manifests, oldest first."""
    return [_read(lake, number) for number in _numbers(lake)]


def rollback(lake: Lake, number: int) -> Manifest:
    """Show readers an earlier (or later) manifest again, until something new is published.

    Raises
    ------
    MissingArtifactError
        There is no such manifest, or artefacts that it names are gone.
    """
    numbers = _numbers(lake)
    if number not in numbers:
        raise MissingArtifactError("there is no such manifest", manifest=number, found=numbers)
    manifest = _read(lake, number)
    if gone := faults(lake, manifest):
        raise MissingArtifactError("artefacts of this manifest are gone", manifest=number, found=gone[0].file)
    _point(lake, _Pointer(number, newest=numbers[-1]))
    return manifest


def faults(lake: Lake, manifest: Manifest) -> list[Fault]:
    """List artefacts that a manifest names and the lake does not have."""
    folders = (lake.path(slot, entry.digest) for slot, entry in sorted(manifest.entries.items()))
    return [Fault(str(folder), "a manifest names a missing artefact") for folder in folders if not folder.exists()]


def held_back(lake: Lake, folds: Folds) -> list[FoldSet]:
    """List fold sets whose newest artefacts are not shown: incomplete, or of several generations."""
    return [fold_set for fold_set in _fold_sets(folds, _newest(lake)) if not fold_set.may_advance]


def preview(lake: Lake, folds: Folds) -> dict[Slot, Entry]:
    """Tell what ``build_manifest`` would show: newest artefacts, and those shown before where a set must wait."""
    shown = current(lake)
    return _select(folds, _newest(lake), shown.entries if shown else {})


def build_manifest(lake: Lake, folds: Folds) -> Manifest:
    """Show readers the newest state of every slot and fold set that may be shown.

    Parameters
    ----------
    folds
        Every fold of the fold table, by cohort and split unit. Artefacts of other folds are not shown.

    Returns
    -------
    The manifest now current: a new one, or the one before if nothing was published since. A rollback therefore holds
    until something new is published.

    Raises
    ------
    SchemaError
        Something in the lake was written by a newer version.
    """
    while True:
        numbers, pointer, shown = _numbers(lake), _pointer(lake), current(lake)
        entries = _select(folds, _newest(lake), shown.entries if shown else {})
        if shown and entries == shown.entries:
            return shown
        newest = _read(lake, numbers[-1]) if numbers else None
        if newest and entries == newest.entries:
            if shown and pointer.newest == newest.number:
                return shown
            return _advance(lake, newest)  # its writer died before it could point to it
        manifest = Manifest(newest.number + 1 if newest else 1, entries)
        if create_exclusive(_path(lake, manifest.number), encode({"tables": _to_json(manifest)})):
            return _advance(lake, manifest)


def withdraw(lake: Lake, slots: Collection[Slot]) -> Manifest:
    """Stop showing readers some slots, and every fold set that one of them belongs to.

    Returns
    -------
    The manifest now current.

    Raises
    ------
    MissingArtifactError
        Readers are shown nothing yet.
    """
    while True:
        shown = current(lake)
        if shown is None:
            raise MissingArtifactError("readers are shown nothing yet", hint="gr2st materialize")
        gone = set(slots)
        broken = {_members(slot) for slot in gone if slot.value("fold") is not None}
        entries = {
            slot: entry for slot, entry in shown.entries.items() if slot not in gone and _members(slot) not in broken
        }
        if entries == shown.entries:
            return shown
        manifest = Manifest(_numbers(lake)[-1] + 1, entries)
        if create_exclusive(_path(lake, manifest.number), encode({"tables": _to_json(manifest)})):
            return _advance(lake, manifest)


def _members(slot: Slot) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What the slots of one table's folds of one cohort, of all split units, have in common."""
    return slot.table, tuple(pair for pair in slot.keys if pair[0] != "fold")


def _select(folds: Folds, newest: Mapping[Slot, Entry | None], shown: Mapping[Slot, Entry]) -> dict[Slot, Entry]:
    single = {slot: entry or shown.get(slot) for slot, entry in newest.items() if slot.value("fold") is None}
    entries = {slot: entry for slot, entry in single.items() if entry is not None}
    before = {_identity(fold_set): fold_set.newest for fold_set in _fold_sets(folds, shown)}
    for fold_set in _fold_sets(folds, newest):
        entries |= fold_set.newest if fold_set.may_advance else before.get(_identity(fold_set), {})
    return entries


def _fold_sets(folds: Folds, entries: Mapping[Slot, Entry | None]) -> list[FoldSet]:
    """Group the slots of known folds; a slot whose artefact is unusable (None) leaves its fold missing."""
    units = {(cohort, fold): unit for (cohort, unit), names in folds.items() for fold in names}
    sets: dict[Any, FoldSet] = {}
    for slot, entry in sorted(entries.items(), key=lambda item: item[0]):
        cohort, fold = slot.value("cohort") or "", slot.value("fold") or ""
        unit = units.get((cohort, fold))
        if unit is None:
            continue
        keys = tuple(pair for pair in slot.keys if pair[0] != "fold")
        fold_set = FoldSet(slot.table, unit, keys, folds[cohort, unit])
        fold_set = sets.setdefault(_identity(fold_set), fold_set)
        if entry is not None:
            fold_set.newest[slot] = entry
    return list(sets.values())


def _identity(fold_set: FoldSet) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    return fold_set.table, fold_set.unit, fold_set.keys


def _newest(lake: Lake) -> dict[Slot, Entry | None]:
    """Read the newest artefact of every slot; None where it is missing or damaged, which ``Lake.verify`` reports."""
    entries: dict[Slot, Entry | None] = {}
    for slot in lake.slots():
        try:
            head = lake.require_head(slot)
            entries[slot] = Entry(head.digest, head.provenance.generation, lake.files(slot, head.digest))
        except SchemaError:
            raise
        except DataError:
            entries[slot] = None
    return entries


def _advance(lake: Lake, manifest: Manifest) -> Manifest:
    """Point to a manifest, then to any that another writer created meanwhile, so that the newest one wins."""
    while True:
        _point(lake, _Pointer(manifest.number, newest=manifest.number))
        newest = _numbers(lake)[-1]
        if newest == manifest.number:
            return manifest
        manifest = _read(lake, newest)


def _to_json(manifest: Manifest) -> dict[str, dict[str, Any]]:
    return {
        table: {slot.partition: asdict(entry) for slot, entry in entries.items()}
        for table, entries in manifest.tables().items()
    }


def _read(lake: Lake, number: int) -> Manifest:
    path = _path(lake, number)
    tables = decode(path.read_bytes(), path, "tables")["tables"]
    entries = {}
    for table, partitions in tables.items():
        for partition, facts in partitions.items():
            slot = Slot.parse(f"{table}/{partition}".rstrip("/"))
            try:
                entries[slot] = Entry(facts["digest"], facts["generation"], tuple(facts["files"]))
            except KeyError as error:
                raise DataError("a manifest is damaged", file=path, slot=slot, field=error.args[0]) from error
    return Manifest(number, entries)


def _path(lake: Lake, number: int) -> "UPath":
    return numbered_path(lake.root / FOLDER, number)


def _numbers(lake: Lake) -> list[int]:
    """Numbers of all manifests, ascending."""
    return existing_numbers(lake.root / FOLDER)


def _pointer(lake: Lake) -> _Pointer:
    path = lake.root / FOLDER / POINTER
    try:
        document = decode(path.read_bytes(), path, "number", "newest")
    except FileNotFoundError:
        return _Pointer()
    return _Pointer(document["number"], document["newest"])


def _point(lake: Lake, pointer: _Pointer) -> None:
    write_atomic(lake.root / FOLDER / POINTER, encode(asdict(pointer)))
