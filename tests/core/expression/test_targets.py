"""Targets are what their formula says, gene by gene and spot by spot."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import sparse

from gr2st_core.errors import SettingsError
from gr2st_core.expression.targets import TARGET_UNITS, to_target
from gr2st_core.keys import TARGETS, Target
from gr2st_core.types import Counts, Panel

GENES = tuple(f"g{k}" for k in range(30))
PANEL = Panel("some", ("g7", "g3", "absent", "g20", "g11"))


def drawn(seed: int = 0) -> Counts:
    """Forty spots; spot 3 is empty, spot 5 has nothing of the panel, gene g11 nothing at all."""
    matrix = np.random.default_rng(seed).poisson(2.0, size=(40, len(GENES)))
    matrix[3] = 0
    matrix[5, [GENES.index(gene) for gene in PANEL.genes if gene in GENES]] = 0
    matrix[:, GENES.index("g11")] = 0
    return Counts(sparse.csr_matrix(matrix), GENES)


def by_hand(counts: Counts, target: Target) -> np.ndarray:
    dense = counts.matrix.toarray()
    values = np.zeros((len(dense), len(PANEL)))
    of = [[int(row[GENES.index(gene)]) if gene in GENES else 0 for gene in PANEL.genes] for row in dense]
    for s, row in enumerate(of):
        for g, count in enumerate(row):
            if target == "per_spot":
                total = sum(row)
            elif target == "per_gene_legacy":
                total = sum(other[g] for other in of)
            else:
                total = int(dense[s].sum())
            scaled = 1e4 * count / total if total else 0.0
            values[s, g] = math.log(1 + scaled) if target == "cp10k" else math.log10(1 + scaled)
    return values


@pytest.mark.parametrize("target", TARGETS)
def test_values_agree_with_the_formula_written_as_loops(target: Target) -> None:
    counts = drawn()
    found = to_target(counts, PANEL, target)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand(counts, target), rtol=1e-6)


def test_a_spots_panel_counts_add_up_to_ten_thousand_and_an_empty_spot_stays_zero() -> None:
    totals = (10 ** to_target(drawn(), PANEL, "per_spot").astype(np.float64) - 1).sum(axis=1)
    empty = np.isin(np.arange(40), [3, 5])
    np.testing.assert_allclose(totals[~empty], 1e4, atol=0.01)
    assert (totals[empty] == 0).all()


def test_a_genes_counts_add_up_to_ten_thousand_and_an_empty_gene_stays_zero() -> None:
    totals = (10 ** to_target(drawn(), PANEL, "per_gene_legacy").astype(np.float64) - 1).sum(axis=0)
    np.testing.assert_allclose(totals, [1e4, 1e4, 0, 1e4, 0], atol=0.01)


def test_cp10k_divides_by_all_genes_so_another_panel_changes_nothing() -> None:
    alone = to_target(drawn(), Panel("one", ("g3",)), "cp10k")
    np.testing.assert_array_equal(alone[:, 0], to_target(drawn(), PANEL, "cp10k")[:, 1])


def test_per_spot_divides_by_the_panel_alone_so_other_genes_change_nothing() -> None:
    counts = drawn()
    more = counts.matrix.toarray()
    more[:, GENES.index("g0")] += 50
    changed = Counts(sparse.csr_matrix(more), GENES)
    np.testing.assert_array_equal(to_target(changed, PANEL, "per_spot"), to_target(counts, PANEL, "per_spot"))
    assert not np.array_equal(to_target(changed, PANEL, "cp10k"), to_target(counts, PANEL, "cp10k"))


def test_depth_cancels_per_spot_but_not_per_gene() -> None:
    shallow = drawn()
    deep = Counts(sparse.csr_matrix(shallow.matrix.toarray() * (1 + np.arange(40) % 3)[:, None]), GENES)
    np.testing.assert_allclose(to_target(deep, PANEL, "per_spot"), to_target(shallow, PANEL, "per_spot"), rtol=1e-6)
    np.testing.assert_allclose(to_target(deep, PANEL, "cp10k"), to_target(shallow, PANEL, "cp10k"), rtol=1e-6)
    assert not np.allclose(to_target(deep, PANEL, "per_gene_legacy"), to_target(shallow, PANEL, "per_gene_legacy"))


def test_every_target_has_a_unit_and_another_is_refused() -> None:
    assert tuple(TARGET_UNITS) == TARGETS
    with pytest.raises(SettingsError) as caught:
        to_target(drawn(), PANEL, "log_raw")  # type: ignore[arg-type]
    assert caught.value.context["found"] == "log_raw"
