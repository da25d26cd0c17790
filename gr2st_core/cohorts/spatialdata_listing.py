"""Which sections a folder of SpatialData stores holds, and whose they are.

Belongs here: names, patients, safety of stores, the one table. Does not belong here: counts, positions, scale
(``spatialdata_reader``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gr2st_core.cohorts.anndata_listing import SAMPLE
from gr2st_core.cohorts.anndata_parts import AnnDataParts
from gr2st_core.cohorts.anndata_sample import patients_in
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import require_inside
from gr2st_core.cohorts.listing import Listing, check_inside
from gr2st_core.cohorts.patient_names import PatientIds
from gr2st_core.cohorts.records import IMAGE, SectionEntry
from gr2st_core.cohorts.scale import facts_file
from gr2st_core.containers.store_image import store_image
from gr2st_core.containers.zarr_guard import is_store, require_safe_store
from gr2st_core.errors import SchemaError
from gr2st_core.keys import SectionKey
from gr2st_core.settings import DEFAULT_LIMITS

_TABLES = "tables"


def list_stores(folder: Path) -> list[Path]:
    """Zarr stores with tables in ``folder``, sorted."""
    return sorted(path for path in folder.iterdir() if is_store(path) and (path / _TABLES).is_dir())


class SpatialDataListing(Listing[Path]):
    """Lists the stores of a folder."""

    def find(self) -> Mapping[str, Path]:
        """Stores by their names without the suffix."""
        self._ids = PatientIds(self.folder, self.patients)
        return {store.name.removesuffix(".zarr"): store for store in list_stores(self.folder)}

    def entry(self, key: SectionKey, found: Path, faults: Faults) -> SectionEntry | None:
        """Make the entry of a section from its store, which is judged before it is opened."""
        require_inside(found, self.folder, may_be_folder=True)
        annotations = self.labels_of(key.section_id)
        check_inside(annotations.values(), self.folder, faults)
        require_safe_store(found)
        obs = AnnDataParts(open_table(found), found, faults, DEFAULT_LIMITS).table("obs")
        image = store_image(found)
        if len(faults):
            return None
        patient = self._ids.of(
            key.section_id, [] if obs is None else patients_in(obs), faults, source="a column of obs"
        )
        files = {SAMPLE: found, **({} if image is None else {IMAGE: found}), **facts_file(self.folder)}
        return None if patient is None else SectionEntry(key, patient, files, annotations)


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
