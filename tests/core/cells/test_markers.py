"""Marker genes recover planted tissue, the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from gr2st_core.cells.classes import CLASSES, dominant_class
from gr2st_core.cells.markers import GROUPS_OF_CLASS, score_marker_genes
from gr2st_core.errors import MissingArtifactError
from gr2st_core.expression.breast_markers import GROUPS
from gr2st_core.types import Counts

BACKGROUND = tuple(f"background{k}" for k in range(400))
MARKERS = {name: [gene for group in groups for gene in GROUPS[group]] for name, groups in GROUPS_OF_CLASS.items()}
GENES = (*BACKGROUND, *(gene for genes in MARKERS.values() for gene in genes))
PLANTED = np.repeat(list(MARKERS), 40)


@pytest.fixture(scope="module")
def tissue() -> Counts:
    """Forty spots of each class, whose markers are ten times up; the last spot is empty."""
    rng = np.random.default_rng(0)
    rates = np.tile(rng.lognormal(0.0, 0.8, size=len(GENES)), (len(PLANTED) + 1, 1))
    for spot, name in enumerate(PLANTED):
        rates[spot, [GENES.index(gene) for gene in MARKERS[name]]] *= 10
    rates[-1] = 0
    return Counts(sparse.csr_matrix(rng.poisson(rates)), GENES)


def test_planted_classes_are_recovered_and_an_empty_spot_stays_unknown(tissue: Counts) -> None:
    types = score_marker_genes(tissue)
    assert (types.classes, types.source, types.method) == (CLASSES, "expression", "marker_genes")
    codes = dominant_class(types)
    assert np.mean(np.array(CLASSES)[codes[:-1]] == PLANTED) > 0.97
    assert np.isnan(types.proportions[-1]).all()
    known = types.proportions[:-1]
    np.testing.assert_allclose(known.sum(axis=1), 1)
    assert (known[:, [CLASSES.index(name) for name in ("nolabe", "necros", "no-neo")]] == 0).all()


def test_the_order_of_spots_and_genes_does_not_matter(tissue: Counts) -> None:
    rng = np.random.default_rng(1)
    rows, columns = rng.permutation(len(PLANTED) + 1), rng.permutation(len(GENES))
    shuffled = Counts(tissue.matrix[rows][:, columns], tuple(GENES[k] for k in columns))
    np.testing.assert_allclose(
        score_marker_genes(shuffled).proportions, score_marker_genes(tissue).proportions[rows], atol=1e-12
    )


def test_equal_counts_give_equal_bytes_without_the_global_random_state(tissue: Counts) -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002, the global state is what is tested
    first, second = score_marker_genes(tissue), score_marker_genes(tissue)
    assert first.proportions.tobytes() == second.proportions.tobytes()
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002, likewise


def test_a_group_that_was_never_measured_is_left_out_but_a_whole_class_is_not(tissue: Counts) -> None:
    def without(genes: list[str]) -> Counts:
        kept = [k for k, gene in enumerate(GENES) if gene not in genes]
        return Counts(tissue.matrix[:, kept], tuple(GENES[k] for k in kept))

    codes = dominant_class(score_marker_genes(without(list(GROUPS["adipose"]))))
    assert np.mean(np.array(CLASSES)[codes[:-1]] == PLANTED) > 0.97
    with pytest.raises(MissingArtifactError) as caught:
        score_marker_genes(without(MARKERS["inflam"]))
    assert caught.value.context["field"] == "inflam"


def test_markers_without_other_genes_are_refused() -> None:
    alone = Counts(sparse.csr_matrix(np.ones((3, 1), dtype=int)), ("EPCAM",))
    with pytest.raises(MissingArtifactError, match="no genes to compare markers with"):
        score_marker_genes(alone)
