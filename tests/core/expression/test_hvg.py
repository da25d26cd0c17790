"""The HVG table is scanpy's, with ranks that do not depend on chance."""

from __future__ import annotations

import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy
from scipy import sparse

from gr2st_core.errors import SchemaError
from gr2st_core.expression.hvg import COLUMNS, hvg_table
from gr2st_core.types import Counts


def counts_of(matrix: np.ndarray, genes: tuple[str, ...] | None = None) -> Counts:
    return Counts(sparse.csr_matrix(matrix), genes or tuple(f"g{k:03d}" for k in range(matrix.shape[1])))


@pytest.fixture(scope="module")
def drawn() -> Counts:
    """120 spots x 400 genes; ``g007`` differs between two halves of the tissue, ``g399`` is never seen."""
    rng = np.random.default_rng(0)
    rates = rng.lognormal(0.0, 1.0, size=400) * rng.lognormal(0.0, 0.4, size=(120, 1))
    rates[:60, 7] = 4.0
    rates[60:, 7] = 0.0
    rates[:, 399] = 0.0
    return counts_of(rng.poisson(rates))


def test_it_agrees_with_a_direct_call_of_scanpy(drawn: Counts) -> None:
    data = anndata.AnnData(drawn.matrix.astype(np.float64), var=pd.DataFrame(index=list(drawn.genes)))
    scanpy.pp.normalize_total(data)
    scanpy.pp.log1p(data)
    scanpy.pp.highly_variable_genes(data, flavor="seurat", n_top_genes=50)
    table = hvg_table(drawn, n_top=50).set_index("gene").loc[data.var_names]
    seen = table["detected_spots"].to_numpy() > 0
    np.testing.assert_allclose(table["mean_expression"], data.var["means"], rtol=1e-6)
    for ours, theirs in (("dispersion", "dispersions"), ("dispersion_norm", "dispersions_norm")):
        np.testing.assert_allclose(table[ours][seen], data.var[theirs][seen], rtol=1e-5)
    assert set(table.index[table["is_highly_variable"]]) == set(data.var_names[data.var["highly_variable"]])


def test_facts_of_the_counts_are_right(drawn: Counts) -> None:
    table = hvg_table(drawn)
    dense = drawn.matrix.toarray()
    assert tuple(table.columns) == COLUMNS
    assert tuple(table["gene"]) == drawn.genes
    assert (table["n_spots"] == 120).all()
    np.testing.assert_array_equal(table["detected_spots"], (dense > 0).sum(axis=0))
    np.testing.assert_allclose(table["mean_count"], dense.mean(axis=0))


def test_ranks_are_a_permutation_led_by_the_planted_gene_with_the_unseen_one_last(drawn: Counts) -> None:
    table = hvg_table(drawn, n_top=10).set_index("gene")
    assert sorted(table["rank"]) == list(range(1, 401))
    assert table["rank"].idxmin() == "g007"
    assert table.loc["g399", "rank"] == 400
    assert np.isnan(table.loc["g399", "dispersion_norm"])
    assert table["is_highly_variable"].sum() == 10


def test_equal_genes_are_ranked_by_symbol(drawn: Counts) -> None:
    matrix = drawn.matrix.toarray()
    matrix[:, 20] = matrix[:, 10]
    genes = [f"g{k:03d}" for k in range(400)]
    genes[20], genes[10] = "alpha", "omega"
    ranks = hvg_table(counts_of(matrix, tuple(genes))).set_index("gene")["rank"]
    assert ranks["omega"] == ranks["alpha"] + 1


def test_the_order_of_spots_and_genes_does_not_change_the_ranks(drawn: Counts) -> None:
    rng = np.random.default_rng(1)
    columns = rng.permutation(400)
    shuffled = Counts(drawn.matrix[rng.permutation(120)][:, columns], tuple(np.array(drawn.genes)[columns].tolist()))
    ranks = [hvg_table(counts).set_index("gene")["rank"].sort_index() for counts in (drawn, shuffled)]
    pd.testing.assert_series_equal(*ranks)


def test_equal_counts_give_equal_bytes_and_leave_the_global_random_state_alone(drawn: Counts) -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002, the global state is what is tested
    first, second = hvg_table(drawn), hvg_table(drawn)
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002, likewise


def test_empty_spots_count_as_spots_and_warn_nobody(drawn: Counts) -> None:
    matrix = np.vstack([drawn.matrix.toarray(), np.zeros((3, 400), dtype=int)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = hvg_table(counts_of(matrix))
    assert (table["n_spots"] == 123).all()
    assert table["dispersion_norm"].notna().sum() == 399


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (2, 3), (130, 1), (5, 2)])
def test_tiny_sections_do_not_crash(shape: tuple[int, int]) -> None:
    table = hvg_table(counts_of(np.random.default_rng(0).poisson(3.0, size=shape)))
    assert sorted(table["rank"]) == list(range(1, shape[1] + 1))
    assert not np.isinf(table[["dispersion", "dispersion_norm"]].to_numpy(float)).any()


def test_a_section_without_molecules_has_no_variable_gene() -> None:
    table = hvg_table(counts_of(np.zeros((4, 6), dtype=int)))
    assert not table["is_highly_variable"].any()
    assert table["dispersion_norm"].isna().all()


def test_a_section_without_spots_is_refused() -> None:
    with pytest.raises(SchemaError) as caught:
        hvg_table(counts_of(np.zeros((0, 6), dtype=int)))
    assert caught.value.context["found"] == (0, 6)
