"""Top genes come from training, and recall counts what is found."""

from __future__ import annotations

import numpy as np
import pytest

from gr2st_core.errors import AlignmentError, SettingsError
from gr2st_core.evaluation.gene_facts import with_gene_facts
from gr2st_core.evaluation.metrics import score_section
from gr2st_core.evaluation.section_facts import section_facts, spot_facts
from gr2st_core.evaluation.top_genes import highest, n_top_genes, top_gene_recall
from gr2st_core.graphs.spatial import radius_edges


@pytest.mark.parametrize(("n_genes", "found"), [(785, 50), (200, 50), (60, 15), (5, 2), (1, 1)])
def test_top_genes_are_few_of_the_panel(n_genes, found):
    assert n_top_genes(n_genes, 50) == found


def test_at_least_one_top_gene():
    with pytest.raises(SettingsError, match="at least one top gene"):
        n_top_genes(10, 0)


def test_the_highest_are_marked_and_ties_go_to_the_first():
    np.testing.assert_array_equal(highest([1, 3, 3, 3, 0], 2), [False, True, True, False, False])


def test_recall_by_hand():
    assert top_gene_recall([5, 4, 3, 2, 1], [9, 1, 8, 0, 0], 2) == 0.5
    assert top_gene_recall([5, 4, 3, 2, 1], [50, 40, 30, 20, 10], 3) == 1
    assert np.isnan(top_gene_recall([5, 4, 3], [0, 0, 0], 1))
    with pytest.raises(AlignmentError, match="one mean per gene"):
        top_gene_recall([1, 2], [1, 2, 3], 1)


def test_recall_by_chance_is_the_share_of_the_panel():
    rng = np.random.default_rng(0)
    found = [top_gene_recall(rng.normal(size=200), rng.normal(size=200), 50) for _ in range(400)]
    assert np.mean(found) == pytest.approx(0.25, abs=0.01)


@pytest.fixture
def planted():
    """Forty spots, twenty genes of rising training mean; the first genes are raised in the section, and found."""
    rng = np.random.default_rng(4)
    mean = np.linspace(0.5, 3.0, 20)
    raised = np.where(np.arange(20) < 5, 1.0, 0.0)
    truth = mean + raised + rng.normal(0, 0.3, (40, 20))
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(5.0)), axis=-1).reshape(-1, 2)
    return truth, mean + raised + 0.5 * (truth - mean - raised), mean, radius_edges(grid, 1.5)


def test_all_facts_of_a_section(planted):
    truth, guess, mean, edges = planted
    genes = [f"g{k}" for k in range(20)]
    options = {"training_mean": mean, "most_top_genes": 50}
    table = with_gene_facts(score_section(truth, guess, genes), truth, guess, edges=edges, **options)
    assert table.is_highly_expressed.tolist() == [False] * 15 + [True] * 5
    summary = section_facts(table)
    assert summary.pearson_top == pytest.approx(table.pearson[15:].mean())
    assert summary.variance_ratio_median == pytest.approx(0.25)
    assert summary.moran_error == pytest.approx(0, abs=1e-12)
    assert summary.moran_correlation == pytest.approx(1)
    spots = spot_facts(truth, guess, **options)
    assert spots.raised_gene_recall == 1
    assert spots.top_gene_recall == 1
    assert spots.pearson_spot > spots.pearson_spot_centred > 0.5
    assert spots.n_undefined_spots == 0


def test_the_training_mean_knows_top_genes_but_not_raised_ones(planted):
    truth, _, mean, _ = planted
    guess = np.tile(mean.astype(np.float32), (40, 1))
    spots = spot_facts(truth, guess, training_mean=mean.astype(np.float32), most_top_genes=50)
    assert spots.top_gene_recall == 1
    assert np.isnan([spots.raised_gene_recall, spots.pearson_spot_centred]).all()


def test_without_a_training_mean_what_needs_it_is_undefined(planted):
    truth, guess, _, edges = planted
    genes = [f"g{k}" for k in range(20)]
    options = {"training_mean": None, "most_top_genes": 50}
    table = with_gene_facts(score_section(truth, guess, genes), truth, guess, edges=edges, **options)
    assert table[["r2", "training_mean", "is_highly_expressed"]].isna().all().all()
    assert np.isnan([section_facts(table).pearson_top, section_facts(table).r2_median]).all()
    assert np.isnan(spot_facts(truth, guess, **options).raised_gene_recall)
