"""Sections as the core takes them, put together from lake tables by id.

Belongs here: lake rows to ``ImageSection`` and ``TrainSection``, folds and panels. Does not belong here: any choice
of what to train on.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gr2st_assets.lake import Lake
from gr2st_assets.records import Slot
from gr2st_assets.slots import section_slot
from gr2st_core.errors import AlignmentError, MissingArtifactError
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from gr2st_core.training.folds import Fold
    from gr2st_core.types import CellTypes, Counts, ImageSection, Panel, PatchReader, TrainSection


def read_rows(lake: Lake, table: str, key: SectionKey) -> "pa.Table":
    """Rows of one section.

    Raises
    ------
    MissingArtifactError
        The table was never made for the section.
    """
    return lake.read_table(section_slot(lake, table, key))


def align(rows: "pd.DataFrame", spot_ids: "np.ndarray", *, table: str, key: SectionKey) -> "pd.DataFrame":
    """Rows in the order of ``spot_ids``, one each.

    Raises
    ------
    AlignmentError
        A spot has no row, or a row no spot.
    """
    indexed = rows.set_index("spot_id")
    if set(indexed.index) != set(spot_ids) or len(indexed) != len(spot_ids):
        difference = sorted(set(indexed.index) ^ set(spot_ids))
        raise AlignmentError(
            "a table has exactly the section's spots",
            section=str(key),
            table=table,
            found=difference[:10],
            hint="materialize the section again",
        )
    return indexed.loc[spot_ids]


def image_section(
    lake: Lake, key: SectionKey, features: Sequence[str], patches: "PatchReader | None" = None
) -> "ImageSection":
    """Build a section as a query sees it: spots, geometry, patch features of the named encoders; nothing from counts.

    No cell types either, since no method reads them of a query. A section without an image has no features.

    Parameters
    ----------
    patches
        Reader of its image, for methods that read pixels.

    Raises
    ------
    MissingArtifactError, AlignmentError
        An image too coarse for an encoder has no features of it.
    """
    import numpy as np

    from gr2st_core.types import ImageSection

    slide = read_rows(lake, "raw/slides", key).to_pylist()[0]
    spots = read_rows(lake, "raw/spots", key).to_pandas()
    spot_ids = spots["spot_id"].to_numpy(dtype=np.str_)
    blocks = {}
    if slide["image_path"] is not None:
        blocks = {name: _features(lake, key, name, spot_ids) for name in features}
    return ImageSection(
        key=key,
        patient_id=slide["patient_id"],
        spot_ids=spot_ids,
        array_xy=spots[["array_col", "array_row"]].to_numpy(dtype=np.float64),
        pixel_xy=spots[["pixel_x", "pixel_y"]].to_numpy(dtype=np.float64),
        um_per_px=slide["um_per_px"],
        pitch_px=slide["pitch_px"],
        features=blocks,
        patches=patches,
    )


def train_section(
    lake: Lake, key: SectionKey, features: Sequence[str], patches: "PatchReader | None" = None
) -> "TrainSection":
    """Build a section that a model may learn from, with counts and cell types of any source.

    Parameters
    ----------
    features, patches
        As `image_section`.

    Raises
    ------
    MissingArtifactError, AlignmentError
    """
    from gr2st_core.types import TrainSection

    image = image_section(lake, key, features, patches)
    return TrainSection(image, counts(lake, key, image.spot_ids), _cell_types(lake, key, image.spot_ids))


def counts(lake: Lake, key: SectionKey, spot_ids: "np.ndarray") -> "Counts":
    """Counts of a section over the full transcriptome, rows in the order of ``spot_ids``."""
    import json

    import numpy as np
    import pyarrow.compute as pc
    from scipy import sparse

    from gr2st_core.types import Counts

    rows = read_rows(lake, "raw/counts", key)
    genes = json.loads(rows.schema.metadata[b"genes"])
    row_of = _positions(rows.column("spot_id"), spot_ids.tolist(), key)
    column_of = _positions(rows.column("gene"), genes, key)
    values = pc.cast(rows.column("count"), "int64").to_numpy()
    matrix = sparse.csr_matrix((values, (row_of, column_of)), shape=(len(spot_ids), len(genes)), dtype=np.int64)
    return Counts(matrix, tuple(genes))


def _positions(values: "pa.ChunkedArray", order: Sequence[str], key: SectionKey) -> "np.ndarray":
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.index_in(values, value_set=pa.array(order, type=pa.string()))
    if found.null_count:
        raise AlignmentError(
            "counts name a spot or gene that the section lacks", section=str(key), found=found.null_count
        )
    return found.to_numpy()


def _features(lake: Lake, key: SectionKey, encoder: str, spot_ids: "np.ndarray") -> "np.ndarray":
    import numpy as np

    table = f"image/embeddings_{encoder}"
    rows = read_rows(lake, table, key)
    if rows.num_rows == 0:
        raise MissingArtifactError(
            "the section has an image and no patch features: it is too coarse for the encoder",
            section=str(key),
            table=table,
            hint="use an encoder of a larger span, or an image of higher resolution",
        )
    flat = rows.column("embedding").combine_chunks().flatten().to_numpy()
    matrix = flat.reshape(rows.num_rows, -1).astype(np.float32, copy=False)
    order = rows.select(["spot_id"]).to_pandas()
    order["position"] = np.arange(len(order))
    return matrix[align(order, spot_ids, table=table, key=key)["position"].to_numpy()]


def _cell_types(lake: Lake, key: SectionKey, spot_ids: "np.ndarray") -> "CellTypes | None":
    from gr2st_core.cells.classes import CLASSES
    from gr2st_core.types import CellTypes

    slot = section_slot(lake, "cells/cell_types", key)
    if lake.head(slot) is None:
        return None
    rows = lake.read_table(slot).to_pandas()
    if rows.empty:
        return None
    wide = rows.pivot(index="spot_id", columns="cell_class", values="proportion").reset_index()
    aligned = align(wide, spot_ids, table="cells/cell_types", key=key)[list(CLASSES)]
    return CellTypes(CLASSES, aligned.to_numpy(), rows.source.iloc[0], rows.method.iloc[0])


def read_folds(lake: Lake) -> "dict[str, Fold]":
    """All folds of the fold table; building each proves again that it does not leak.

    Raises
    ------
    MissingArtifactError
        No fold table yet.
    """
    from gr2st_core.training.folds import Fold

    slot = lake.slot("folds/fold_table")
    if lake.head(slot) is None:
        raise MissingArtifactError("there is no fold table", hint="materialize folds/fold_table first")
    rows = lake.read_table(slot).to_pandas()
    folds = {}
    for fold_id, part in rows.groupby("fold_id", sort=True):
        keys = [SectionKey(c, s) for c, s in zip(part.cohort, part.section_id, strict=True)]
        roles = dict(zip(keys, part.role, strict=True))
        folds[fold_id] = Fold(
            fold_id=fold_id,
            split_unit=part.split_unit.iloc[0],
            **{role: tuple(k for k in keys if roles[k] == role) for role in ("test", "train", "counts_only")},
            patients=dict(zip(keys, part.patient_id, strict=True)),
        )
    return folds


def read_panel(lake: Lake, slot: Slot, digest: str | None = None) -> "Panel":
    """Genes of a panel table in panel order; of the newest, or the one named."""
    from gr2st_core.types import Panel

    rows = lake.read_table(slot, digest=digest).to_pandas().sort_values("position")
    return Panel(rows.panel.iloc[0], tuple(rows.gene))
