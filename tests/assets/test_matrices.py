"""Long rows become matrices by id, or not at all."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gr2st_assets.matrices import edge_rows, rows_of_section, spots_by_genes
from gr2st_core.errors import AlignmentError

SPOTS, GENES = ["s1", "s2", "s3"], ("G", "H")
VALUES = np.arange(6, dtype=np.float32).reshape(3, 2)


def long(order=None, **columns):
    frame = pd.DataFrame({"spot_id": np.repeat(SPOTS, 2), "gene": GENES * 3, "x": VALUES.ravel()}).assign(**columns)
    return pa.Table.from_pandas(frame if order is None else frame.iloc[order], preserve_index=False)


def test_rows_in_any_order_and_as_categories():
    for rows in (long(), long([5, 0, 3, 1, 4, 2]), long(gene=pd.Categorical(GENES * 3))):
        matrix = spots_by_genes(rows, "x", SPOTS, GENES, section="c/A")
        np.testing.assert_array_equal(matrix, VALUES)
        assert matrix.dtype == np.float32
    np.testing.assert_array_equal(
        spots_by_genes(long(), "x", SPOTS[::-1], ("H", "G"), section="c/A"), VALUES[::-1, ::-1]
    )


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 4], [0, 1, 2, 3, 4, 5, 5]])
def test_missing_and_doubled_rows_are_refused(order):
    with pytest.raises(AlignmentError, match="x has one row per spot and gene"):
        spots_by_genes(long(order), "x", SPOTS, GENES, section="c/A")


def test_a_row_without_a_place_is_refused():
    with pytest.raises(AlignmentError, match="materialize the fold again"):
        spots_by_genes(long(), "x", ["s1", "s2", "other"], GENES, section="c/A")


def test_rows_of_one_section():
    rows = long(section_id=["A", "A", "B", "B", "A", "B"])
    assert rows_of_section(rows, "A").column("x").to_pylist() == [0, 1, 4]


def test_edges_by_row_number():
    edges = pa.table({"source_spot_id": ["s3", "s1"], "target_spot_id": ["s1", "s1"]})
    np.testing.assert_array_equal(edge_rows(edges, SPOTS, section="c/A"), [[2, 0], [0, 0]])
    with pytest.raises(AlignmentError, match="edges join spots"):
        edge_rows(edges, SPOTS[:2], section="c/A")
