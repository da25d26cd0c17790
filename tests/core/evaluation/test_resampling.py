"""Draws are seeded, balanced, and do not depend on what else is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from gr2st_core.errors import SchemaError
from gr2st_core.evaluation.resampling import gene_counts, section_counts, spatial_blocks


def test_blocks_are_squares_of_neighbours():
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(4.0)), axis=-1).reshape(-1, 2)
    blocks = spatial_blocks(grid + 0.3, 4.0)
    assert np.bincount(blocks).tolist() == [16, 16]
    assert len(set(blocks[grid[:, 0] < 4])) == 1
    with pytest.raises(SchemaError, match="positive side"):
        spatial_blocks(grid, 0)


def test_genes_are_drawn_by_name_whatever_the_panel():
    counts = gene_counts(["b", "a", "c"], 2000, seed=0)
    assert counts.mean(axis=0) == pytest.approx(np.ones(3), abs=0.1)
    assert counts.var(axis=0) == pytest.approx(np.ones(3), abs=0.15)
    np.testing.assert_array_equal(gene_counts(["a", "x"], 2000, seed=0)[:, 0], counts[:, 1])
    assert (gene_counts(["a"], 2000, seed=1)[:, 0] != counts[:, 1]).any()


def test_few_patients_are_kept_as_they_are():
    assert (section_counts(["A", "A", "B", "C", "D", "E"], 20, seed=0) == 1).all()


def test_six_patients_are_drawn_with_their_sections():
    patients = ["A", "A", "A", "B", "C", "D", "E", "F"]
    counts = section_counts(patients, 400, seed=0)
    drawn = counts[:, 0:3].sum(axis=1)
    assert set(drawn % 3) == {0}  # a drawn patient brings as many sections as it has
    np.testing.assert_array_equal(drawn / 3 + counts[:, 3:].sum(axis=1), 6)
    assert counts.mean(axis=0) == pytest.approx(np.ones(8), abs=0.15)
    assert (counts[:, 3] == 0).mean() == pytest.approx((5 / 6) ** 6, abs=0.07)
