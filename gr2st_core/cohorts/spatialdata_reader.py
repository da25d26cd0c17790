"""Reader of cohorts of SpatialData stores, one a section.

Belongs here: joining the table of a store with its shapes, and the shapes with the image through the store's
transformations. Does not belong here: what the table holds (``anndata_sample``), which image (``store_image``), whether
the store is safe to open (``zarr_guard``).

::

    <section>.zarr    one table of counts, the shapes that it annotates (circles, or polygons of which the centroid is
                      taken), one or more images
    patients.tsv      section_id patient_id        (optional)
    cohort.yml        pitch_um or um_per_px        (unless the shapes are circles of a Visium array)
    regions/<section>.tsv | .geojson                 (optional, instead of labels in the table)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gr2st_core.cohorts.anndata_listing import SAMPLE
from gr2st_core.cohorts.anndata_parts import AnnDataParts
from gr2st_core.cohorts.anndata_reader import section_of
from gr2st_core.cohorts.anndata_sample import Sample, read_sample
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.records import RawSection, SectionEntry
from gr2st_core.cohorts.scale import facts_of
from gr2st_core.cohorts.spatialdata_listing import SpatialDataListing, list_stores, open_table
from gr2st_core.cohorts.spot_scale import StatedScale, checked_positions
from gr2st_core.cohorts.store_shapes import Shapes, read_shapes
from gr2st_core.containers.store_image import store_image
from gr2st_core.containers.zarr_guard import require_safe_store
from gr2st_core.errors import AlignmentError, DataError, MissingArtifactError
from gr2st_core.settings import DEFAULT_LIMITS, Limits
from gr2st_core.types import FloatArray


class SpatialDataReader:
    """Reads folders of SpatialData stores."""

    layout: ClassVar[str] = "spatialdata"
    expects: ClassVar[str] = "<section>.zarr with tables and shapes"

    def recognises(self, folder: Path) -> bool:
        """Tell whether a folder in ``folder`` is a zarr store with tables."""
        try:
            return bool(list_stores(folder))
        except OSError:
            return False  # a folder that cannot be listed is nobody's

    def entries(self, name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
        """List the sections, and every fault that a listing can see."""
        return SpatialDataListing(name, folder).listed()

    def read(self, entry: SectionEntry, limits: Limits = DEFAULT_LIMITS) -> RawSection:
        """Parse one store."""
        if SAMPLE not in entry.files:
            raise MissingArtifactError("a section has no store", section=str(entry.key), expected=self.expects)
        store, faults = entry.files[SAMPLE], Faults(section=str(entry.key))
        require_safe_store(store, str(entry.key))
        cohort = facts_of(entry, faults)
        parts = AnnDataParts(open_table(store, str(entry.key)), store, faults, limits)
        sample = read_sample(parts)
        image = None if entry.image_path is None else store_image(store, str(entry.key))
        region, instances = _annotation(parts, sample)
        faults.raise_any("a section cannot be read")
        shapes = read_shapes(store, region, image, faults, limits)
        faults.raise_any("a section cannot be read")
        pixel_xy = _joined(sample, instances, shapes, faults, store)
        stated = StatedScale(spot_diameter_px=shapes.diameter_px)
        n_without = len(set(shapes.ids) - set(instances))
        return section_of(entry, sample, pixel_xy, cohort, stated, faults, file=store, n_spots_without_counts=n_without)


def _annotation(parts: AnnDataParts, sample: Sample) -> tuple[str, list[Any]]:
    """Name of the shapes that the table annotates, and the id among them of every row."""
    region_key, instance_key = (parts.text(f"uns/spatialdata_attrs/{name}") for name in ("region_key", "instance_key"))
    columns = list(sample.obs.columns)
    if region_key not in columns or instance_key not in columns:
        parts.faults.add(
            "the table of a store does not say which shapes its rows are",
            file=parts.file,
            field="uns['spatialdata_attrs']",
            found={"region_key": region_key, "instance_key": instance_key, "columns": columns[:10]},
            expected="columns of obs",
        )
        return "", []
    regions = sorted({str(name) for name in sample.obs[region_key]})
    if len(regions) != 1:
        parts.faults.add(
            "a table annotates several sets of shapes",
            file=parts.file,
            field=f"obs {region_key}",
            found=regions[:10],
            expected="one set, the spots of one section",
            hint="write one store per section",
        )
    return regions[0] if regions else "", sample.obs[instance_key].tolist()


def _joined(sample: Sample, instances: list[Any], shapes: Shapes, faults: Faults, store: Path) -> FloatArray:
    """Positions of the shapes, a row per row of the table, joined by instance id."""
    row_of = {name: row for row, name in enumerate(shapes.ids)}
    if strangers := [name for name in instances if name not in row_of]:
        faults.add(
            "rows of the table have no shape",
            AlignmentError,
            file=store,
            field="instance id",
            found=strangers[:10],
            expected="ids of the shapes",
            hint=f"{len(strangers)} rows; add the shapes or remove the rows",
        )
        return np.full((len(sample.spot_ids), 2), np.nan)
    xy = shapes.pixel_xy[[row_of[name] for name in instances]]
    return checked_positions(xy, sample.spot_ids, faults, file=store, field="shapes")
