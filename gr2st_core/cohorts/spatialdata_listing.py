"""Which sections a folder of SpatialData stores holds, and whose they are.

Belongs here: names, patients, safety of stores, the one table. Does not belong here: counts, positions, scale
(``spatialdata_reader``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gr2st_core.cohorts.anndata_listing import SAMPLE, annotations_of, key_of, note_unknown_sections
from gr2st_core.cohorts.anndata_parts import AnnDataParts
from gr2st_core.cohorts.anndata_sample import patients_in
from gr2st_core.cohorts.cohort_file import read_cohort_file
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import require_inside
from gr2st_core.cohorts.patient_names import PatientIds
from gr2st_core.cohorts.patients import read_patients
from gr2st_core.cohorts.records import IMAGE, SectionEntry
from gr2st_core.cohorts.scale import facts_file
from gr2st_core.containers.store_image import store_image
from gr2st_core.containers.zarr_guard import is_store, require_safe_store
from gr2st_core.errors import DataError, SchemaError
from gr2st_core.settings import DEFAULT_LIMITS
from gr2st_core.types import SectionKey

_TABLES = "tables"


def list_stores(folder: Path) -> list[Path]:
    """Zarr stores with tables in ``folder``, sorted."""
    return sorted(path for path in folder.iterdir() if is_store(path) and (path / _TABLES).is_dir())


def list_sections(name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
    """List the sections of cohort ``name``, sorted by key, and the faults found.

    A section with a fault is left out; if the patient table or the cohort file is damaged none is listed.

    Raises
    ------
    SchemaError
        If ``name`` cannot name a cohort.
    """
    SectionKey(name, "any")
    faults = Faults(cohort=name)
    patients = read_patients(folder, faults)
    read_cohort_file(folder, faults)
    if len(faults):
        return [], faults.found
    stores = list_stores(folder)
    note_unknown_sections(folder, patients, [_section(store) for store in stores], faults)
    ids = PatientIds(folder, patients)
    entries = []
    for store in stores:
        own = Faults(section=f"{name}/{_section(store)}")
        entry = _entry(name, store, folder, ids, own)
        faults.found.extend(own.found)
        if entry is not None and not len(own):
            entries.append(entry)
    return sorted(entries, key=lambda entry: entry.key), faults.found


def open_table(store: Path, section: str | None = None) -> Any:
    """Open the group of the one table of a store that has passed ``zarr_guard``.

    Raises
    ------
    SchemaError
        There is not one.
    """
    import zarr

    try:
        tables = zarr.open_group(store / _TABLES, mode="r", use_consolidated=False)
        names = sorted(tables.group_keys())
        table = tables[names[0]] if len(names) == 1 else None
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise SchemaError(
            "the tables of a store cannot be read",
            file=store,
            section=section,
            found=f"{type(error).__name__}: {error}",
        ) from error
    if table is None:
        raise SchemaError(
            "a store does not have one table",
            file=store,
            section=section,
            field=_TABLES,
            found=names[:10],
            expected="one table, of the counts of one section",
            hint="write a store with the table that is meant",
        )
    return table


def _section(store: Path) -> str:
    return store.name.removesuffix(".zarr")


def _entry(cohort: str, store: Path, folder: Path, ids: PatientIds, faults: Faults) -> SectionEntry | None:
    key = key_of(cohort, _section(store), store, faults)
    if key is None:
        return None
    try:
        require_inside(store, folder, may_be_folder=True)
        annotations = annotations_of(key.section_id, folder)
        require_safe_store(store)
        obs = AnnDataParts(open_table(store), store, faults, DEFAULT_LIMITS).table("obs")
        image = store_image(store)
    except DataError as error:
        faults.add(error.message, type(error), **error.context)
        return None
    if len(faults):
        return None
    patient = ids.of(key.section_id, [] if obs is None else patients_in(obs), faults, source="a column of obs")
    files = {SAMPLE: store, **({} if image is None else {IMAGE: store}), **facts_file(folder)}
    return None if patient is None else SectionEntry(key, patient, files, annotations)
