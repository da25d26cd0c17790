"""Long tables of spots and genes as matrices.

Belongs here: joining rows to spots and genes by id. Does not belong here: reading tables (``lake``), what is computed
from the matrices.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gr2st_core.errors import AlignmentError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def rows_of_section(rows: "pa.Table", section_id: str) -> "pa.Table":
    """Rows of one section."""
    import pyarrow.compute as pc

    return rows.filter(pc.field("section_id") == section_id)


def spots_by_genes(
    rows: "pa.Table", column: str, spot_ids: Sequence[str], genes: Sequence[str], *, section: str
) -> "np.ndarray":
    """Lay the rows of one section out, shape ``(n_spots, n_genes)``, in the order of ``spot_ids`` and ``genes``.

    Parameters
    ----------
    rows
        One row per spot and gene, in any order, with ``spot_id``, ``gene`` and ``column``.
    section
        Named in errors.

    Raises
    ------
    AlignmentError
        A pair of spot and gene has no row or several, or a row no place.
    """
    import numpy as np

    places = [_places(rows.column(name), order) for name, order in (("spot_id", spot_ids), ("gene", genes))]
    cells = places[0] * len(genes) + places[1]
    expected = len(spot_ids) * len(genes)
    strangers = int((places[0] < 0).sum() + (places[1] < 0).sum())
    if strangers or len(cells) != expected or (np.bincount(cells, minlength=expected) > 1).any():
        raise AlignmentError(
            f"{column} has one row per spot and gene",
            section=section,
            expected=expected,
            found=len(cells),
            hint="materialize the fold again" if strangers else None,
        )
    values = rows.column(column).to_numpy()
    matrix = np.empty(expected, dtype=values.dtype)
    matrix[cells] = values
    return matrix.reshape(len(spot_ids), len(genes))


def _places(values: "pa.ChunkedArray", order: Sequence[str]) -> "np.ndarray":
    """Position of each value in ``order``, -1 if it is not there; looked up once a distinct value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = values.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    found = pc.index_in(encoded.dictionary, value_set=pa.array([str(v) for v in order], type=pa.string()))
    return pc.fill_null(found, -1).to_numpy()[encoded.indices.to_numpy()].astype("int64")


def edge_rows(edges: "pa.Table", spot_ids: Sequence[str], *, section: str) -> "np.ndarray":
    """Edges of a graph table as row numbers of sender and receiver, shape ``(2, n_edges)``.

    Raises
    ------
    AlignmentError
        An edge names a spot that is not among ``spot_ids``.
    """
    import numpy as np

    pairs = np.stack([_places(edges.column(name), spot_ids) for name in ("source_spot_id", "target_spot_id")])
    if (pairs < 0).any():
        raise AlignmentError("edges join spots of the section", section=section, found=int((pairs < 0).sum()))
    return pairs
