"""A predicted slide as two parquet tables: values long, spots wide.

Belongs here: the columns with their types and meaning, and writing them block by block. Does not belong here: the
lake's tables (``gr2st_assets.tables``).

Columns carry ``description`` and ``unit`` as field metadata; the tables carry what is known of the whole slide as JSON
under ``gr2st``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.exports.predicted_slide import PredictedSlide
from gr2st_core.exports.whole import written_whole

if TYPE_CHECKING:
    import pyarrow as pa

PREDICTIONS = "predictions.parquet"
SPOTS = "spots.parquet"

_ROWS = 2**18  # of a row group: what is held at once
_Column = tuple[str, str, bool, str, str]  # name, Arrow type, nullable, meaning, unit

PREDICTION_COLUMNS: tuple[_Column, ...] = (
    ("section_id", "string", False, "section within its cohort", ""),
    ("spot_id", "string", False, "spot within its section", ""),
    ("gene", "string", False, "gene symbol", ""),
    ("predicted", "float", False, "predicted expression, absolute", "target units"),
    ("lower", "float", True, "lower end of the interval; NULL without one", "target units"),
    ("upper", "float", True, "upper end of the interval; NULL without one", "target units"),
    ("support", "string", False, "whom the interval speaks of: patient; spot-level, same patients; none", ""),
)
SPOT_COLUMNS: tuple[_Column, ...] = (
    ("section_id", "string", False, "section within its cohort", ""),
    ("spot_id", "string", False, "spot within its section", ""),
    ("pixel_x", "double", False, "centre, from the left of the image at full resolution", "px"),
    ("pixel_y", "double", False, "centre, from the top of the image at full resolution", "px"),
    ("array_col", "double", False, "column on the capture grid", "pitch"),
    ("array_row", "double", False, "row on the capture grid", "pitch"),
    ("ood_distance", "double", True, "distance from the training spots; NULL if not measured", "SD of a component"),
    ("ood_quantile", "double", True, "share of left-out training spots that lie nearer; NULL with too few", ""),
    ("is_unusual", "bool", True, "whether the spot is out of distribution; NULL where ood_quantile is", ""),
    ("reference_spots", "list", True, "nearest training spots as cohort/section/spot, nearest first", ""),
    ("region", "string", True, "label of the spot; NULL outside every region", ""),
)


def write_parquet(slide: PredictedSlide, folder: Path) -> None:
    """Write ``spots.parquet`` and then ``predictions.parquet`` into a folder, which is made if needed.

    Rows of the one are spots in the slide's order; of the other spots, and within each the genes in panel order. Each
    file appears in full or not at all; equal slides give equal bytes.

    Raises
    ------
    OSError
    """
    _write(folder / SPOTS, _schema(SPOT_COLUMNS, slide), [_spot_arrays(slide)])
    _write(folder / PREDICTIONS, _schema(PREDICTION_COLUMNS, slide), _prediction_blocks(slide))


def _write(path: Path, schema: pa.Schema, blocks: Iterable[list[Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = [field.name for field in schema if field.type == pa.string()]
    with (
        written_whole(path) as staged,
        pq.ParquetWriter(staged, schema, compression="zstd", use_dictionary=texts, write_page_checksum=True) as writer,
    ):
        for arrays in blocks:
            table = pa.Table.from_arrays(arrays, schema=schema)
            writer.write_table(table, row_group_size=max(table.num_rows, 1))


def _schema(columns: tuple[_Column, ...], slide: PredictedSlide) -> pa.Schema:
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "float": pa.float32(),
        "double": pa.float64(),
        "bool": pa.bool_(),
        "list": pa.list_(pa.string()),
    }
    fields = [
        pa.field(name, types[kind], nullable, {"description": meaning, "unit": unit})
        for name, kind, nullable, meaning, unit in columns
    ]
    return pa.schema(fields, {"gr2st": slide.document})


def _prediction_blocks(slide: PredictedSlide) -> Iterator[list[Any]]:
    """Arrays of whole spots, about ``_ROWS`` rows at a time."""
    import pyarrow as pa

    n_genes = len(slide.genes)
    step = max(_ROWS // n_genes, 1)
    genes, support = (pa.array(texts, pa.string()) for texts in (slide.genes, slide.support))
    for start in range(0, slide.n_spots, step):
        rows = slice(start, start + step)
        spots = pa.array(slide.section.spot_ids[rows].tolist(), pa.string())
        n = len(spots) * n_genes
        columns = pa.array(np.tile(np.arange(n_genes), len(spots)))
        yield [
            pa.repeat(slide.section.key.section_id, n),
            spots.take(pa.array(np.repeat(np.arange(len(spots)), n_genes))),
            genes.take(columns),
            pa.array(slide.prediction.values[rows].ravel(), pa.float32()),
            *_ends(slide, rows, n),
            support.take(columns),
        ]


def _ends(slide: PredictedSlide, rows: slice, n: int) -> list[pa.Array]:
    import pyarrow as pa

    if slide.intervals is None:
        return [pa.nulls(n, pa.float32())] * 2
    ends = (slide.intervals.lower, slide.intervals.upper)
    return [pa.array(end[rows].ravel(), pa.float32(), from_pandas=True) for end in ends]  # NaN becomes NULL


def _spot_arrays(slide: PredictedSlide) -> list[pa.Array]:
    import pyarrow as pa

    section = slide.section
    regions = None if slide.regions is None else [label or None for label in slide.regions.tolist()]
    references = None if slide.reference_spots is None else slide.reference_spots.tolist()
    return [
        pa.repeat(section.key.section_id, section.n_spots),
        pa.array(section.spot_ids.tolist(), pa.string()),
        *(pa.array(axis, pa.float64()) for xy in (section.pixel_xy, section.array_xy) for axis in xy.T),
        _optional(slide.ood_distance, pa.float64(), section.n_spots),
        _optional(slide.ood_quantile, pa.float64(), section.n_spots),
        _optional(slide.is_unusual, pa.bool_(), section.n_spots),
        _optional(references, pa.list_(pa.string()), section.n_spots),
        _optional(regions, pa.string(), section.n_spots),
    ]


def _optional(values: NDArray[Any] | list[Any] | None, kind: pa.DataType, n: int) -> pa.Array:
    """Array of a column, NULL throughout if there is none; NaN is NULL."""
    import pyarrow as pa

    return pa.nulls(n, kind) if values is None else pa.array(values, kind, from_pandas=True)
