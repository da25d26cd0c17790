"""Group ``cells``: the share of each cell class in every spot.

Belongs here: which source is used. Does not belong here: reading or scoring (``gr2st_core.cells``). Every row says
whether it comes from the image or from expression; the latter reaches training sections only.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gr2st_assets import pictures
from gr2st_assets.checks import domain
from gr2st_assets.kinds import section_asset
from gr2st_assets.schema import arrow_schema
from gr2st_assets.sections import counts
from gr2st_assets.steps import Product
from gr2st_assets.tables import table_spec
from gr2st_assets.work import SectionWork
from gr2st_core.errors import SettingsError

if TYPE_CHECKING:
    from gr2st_core.types import CellTypes

METHODS = ("hovernet", "deconvolution", "marker_genes")


def _method(work: SectionWork) -> str:
    """Source asked for; ``auto`` is the best table that came with the cohort, else marker genes."""
    asked = work.experiment.cells
    if asked == "auto":
        return next(method for method in METHODS if method == "marker_genes" or method in work.entry.annotations)
    if asked not in METHODS:
        raise SettingsError("no such source of cell types", found=asked, expected=("auto", *METHODS))
    if asked != "marker_genes" and asked not in work.entry.annotations:
        raise SettingsError("the cohort has no such table of cell types", section=str(work.key), found=asked)
    return asked


def _annotation(work: SectionWork) -> Mapping[str, str]:
    from gr2st_core.cohorts.files import file_sha256

    method = _method(work)
    path = work.entry.annotations.get(method)
    if path is None:
        return {"method": method}
    files = sorted(path.glob("*.tsv")) if path.is_dir() else [path]
    return {"method": method, **{file.name: file_sha256(file) for file in files}}


@section_asset(
    "cells/cell_types",
    deps=("raw/spots", "raw/counts"),
    code=("gr2st_core.cells", "gr2st_core.expression.lognorm", "gr2st_core.expression.breast_markers"),
    checks=("proportions_sum_to_one", "every_spot_has_rows"),
    files=_annotation,
    kinds=frozenset({"scanpy"}),
)
def cell_types(work: SectionWork) -> Product:
    """Proportion of each cell class per spot, from nuclei (image), deconvolution or marker genes (expression).

    None where only marker genes could tell and nothing was sequenced.
    """
    import numpy as np
    import pandas as pd

    spots = work.rows("raw/spots")
    if _method(work) == "marker_genes" and not spots.has_counts.any():
        return Product(arrow_schema(table_spec("cells/cell_types")).empty_table(), {"n_spots": 0})
    spot_ids = spots["spot_id"].to_numpy(dtype=str)
    types = _read(work, spot_ids)
    table = pd.DataFrame(
        {
            **work.columns,
            "spot_id": np.repeat(spot_ids, len(types.classes)),
            "cell_class": np.tile(types.classes, len(spot_ids)),
            "proportion": types.proportions.ravel(),
            "source": types.source,
            "method": types.method,
        }
    )
    unknown = int(np.isnan(types.proportions).any(axis=1).sum())
    return Product(
        table,
        {"n_spots": len(spot_ids), "n_unknown": unknown, "source": types.source, "method": types.method},
        pictures.shares(table, f"{work.key}: {types.method}"),
        [domain.proportions_sum_to_one(table), domain.every_spot_has_rows(table, spot_ids)],
    )


def _read(work: SectionWork, spot_ids: "object") -> "CellTypes":
    from gr2st_core.cells.deconvolution import read_deconvolution
    from gr2st_core.cells.hovernet import read_hovernet
    from gr2st_core.cells.markers import score_marker_genes

    method = _method(work)
    if method == "hovernet":
        return read_hovernet(work.entry.annotations[method], spot_ids)
    if method == "deconvolution":
        return read_deconvolution(work.entry.annotations[method], work.key.section_id, spot_ids)
    return score_marker_genes(counts(work.lake, work.key, spot_ids))
