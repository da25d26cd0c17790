"""Differences are those of the scores, and intervals cover the truth of a simulation as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from gr2st_core.errors import AlignmentError, SchemaError
from gr2st_core.evaluation.bootstrap import DrawnScores, compare, draw_scores, two_sided_p
from gr2st_core.evaluation.metrics import pearson_per_gene
from gr2st_core.evaluation.resampling import draw_counts, spatial_blocks, stream
from gr2st_core.keys import SectionKey

GRID = np.stack(np.meshgrid(np.arange(12.0), np.arange(9.0)), axis=-1).reshape(-1, 2)
BLOCKS = spatial_blocks(GRID, 3.0)
KEY = SectionKey("c", "A1")


def matrices(seed: int, n_genes: int = 12) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(3.0, 1.0, (len(GRID), n_genes))
    return truth, {name: share * truth + rng.normal(size=truth.shape) for name, share in (("a", 0.6), ("b", 0.2))}


def drawn(truth: np.ndarray, guesses: dict[str, np.ndarray], n_draws: int = 30, seed: int = 0) -> DrawnScores:
    genes = draw_counts(truth.shape[1], n_draws, np.random.default_rng(seed))
    return draw_scores(KEY, "A", truth, guesses, blocks=BLOCKS, gene_draws=genes, seed=seed)


def test_a_draw_is_the_correlation_of_the_drawn_spots_and_genes():
    truth, guesses = matrices(0)
    found = drawn(truth, guesses)
    genes = draw_counts(12, 30, np.random.default_rng(0)).astype(int)
    blocks = draw_counts(BLOCKS.max() + 1, 30, stream(0, "blocks", "c/A1")).astype(int)
    for k in (0, 7, 29):
        rows = np.repeat(np.arange(len(truth)), blocks[k][BLOCKS])
        r = pearson_per_gene(truth[rows], guesses["a"][rows])
        assert found.draws["a"][k] == pytest.approx((genes[k] * r).sum() / genes[k].sum(), abs=1e-10)


def test_the_measured_score_is_the_mean_with_zeros_for_constant_predictions():
    truth, guesses = matrices(1)
    truth[:, 0], guesses["a"][:, 1] = 2.0, 7.0
    found = drawn(truth, guesses)
    r = pearson_per_gene(truth, guesses["a"])
    assert found.measured["a"] == pytest.approx(np.nansum(r) / 11)
    assert np.isfinite(found.draws["a"]).all()
    constant = drawn(truth, {"null": np.ones_like(truth)})
    assert constant.measured["null"] == 0
    assert (constant.draws["null"] == 0).all()


def test_a_gene_seen_in_one_block_only_is_left_out_where_the_block_is():
    truth, guesses = matrices(2, n_genes=2)
    truth[:, 0] = np.where(BLOCKS == 0, np.arange(len(truth)), 0.0)
    assert np.isfinite(drawn(truth, guesses, n_draws=200).draws["a"]).sum() >= 100


def test_a_section_without_a_varying_gene_is_undefined_and_left_out():
    truth, guesses = matrices(3)
    empty = drawn(np.zeros_like(truth), guesses)
    assert np.isnan(empty.measured["a"])
    assert np.isnan(empty.draws["a"]).all()
    whole = drawn(truth, guesses)
    other = DrawnScores(SectionKey("c", "B1"), "B", empty.measured, empty.draws)
    assert compare([whole, other], "a", "b", seed=0) == compare([whole], "a", "b", seed=0)
    with pytest.raises(SchemaError, match="needs sections"):
        compare([other], "a", "b", seed=0)
    with pytest.raises(SchemaError, match="each once"):
        compare([whole, whole], "a", "b", seed=0)


def test_sizes_must_agree():
    truth, guesses = matrices(4)
    with pytest.raises(AlignmentError, match="a block a spot"):
        draw_scores(KEY, "A", truth, guesses, blocks=BLOCKS[1:], gene_draws=np.ones((3, 12)), seed=0)


def test_swapped_methods_mirror_and_a_method_equals_itself():
    truth, guesses = matrices(5)
    scores = [drawn(truth, {**guesses, "copy": guesses["a"]}, n_draws=99)]
    forth, back = compare(scores, "a", "b", seed=0), compare(scores, "b", "a", seed=0)
    assert (forth.difference, forth.low, forth.high) == pytest.approx((-back.difference, -back.high, -back.low))
    assert forth.p_value == back.p_value == 2 / 100
    assert (forth.sections_above, back.sections_above) == (1, 0)
    same = compare(scores, "a", "copy", seed=0)
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_the_scope_says_when_patients_are_too_few():
    truth, guesses = matrices(6)
    one = drawn(truth, guesses)
    sections = [DrawnScores(SectionKey("c", f"S{k}"), f"P{k}", one.measured, one.draws) for k in range(6)]
    few, many = compare(sections[:5], "a", "b", seed=0), compare(sections, "a", "b", seed=0)
    assert (few.is_population, few.n_patients, few.scope) == (False, 5, "describes these sections only")
    assert (many.is_population, many.n_patients) == (True, 6)


def test_p_values_by_hand():
    assert two_sided_p(np.full(99, 0.1)) == pytest.approx(0.02)
    assert two_sided_p(np.concatenate([np.full(90, 1.0), np.full(9, -1.0)])) == pytest.approx(0.2)
    assert two_sided_p(np.zeros(99)) == 1


def simulate(rng: np.random.Generator, patients: list[str], patient_sd: float) -> list[DrawnScores]:
    """Independent spots; method a correlates 0.4 with the truth, b 0.3, both varying over genes and patients."""
    n_genes, n_draws, seed = 25, 150, int(rng.integers(1 << 30))
    own = {"a": 0.4 + 0.08 * rng.normal(size=n_genes), "b": np.full(n_genes, 0.3)}
    shift = {patient: patient_sd * rng.normal() for patient in sorted(set(patients))}
    genes = draw_counts(n_genes, n_draws, rng)
    found = []
    for k, patient in enumerate(patients):
        truth = rng.normal(size=(len(GRID), n_genes))
        guesses = {}
        for name, r in own.items():
            level = np.clip(r + (shift[patient] if name == "a" else 0), -0.95, 0.95)
            guesses[name] = level * truth + np.sqrt(1 - level**2) * rng.normal(size=truth.shape)
        key = SectionKey("c", f"S{k}")
        found.append(draw_scores(key, patient, truth, guesses, blocks=BLOCKS, gene_draws=genes, seed=seed))
    return found


@pytest.mark.parametrize(
    ("patients", "patient_sd", "least"),
    [(list("AABB"), 0.0, 0.90), (list("AABBCDEFGHIJ"), 0.1, 0.86)],
    ids=["few patients, fixed", "ten patients, drawn"],
)
def test_intervals_cover_the_true_difference(patients, patient_sd, least):
    rng = np.random.default_rng(11)
    found = [compare(simulate(rng, patients, patient_sd), "a", "b", seed=k) for k in range(120)]
    covered = np.mean([d.low <= 0.1 <= d.high for d in found])
    assert least <= covered <= 1
    spread, width = np.std([d.difference for d in found]), np.mean([d.high - d.low for d in found])
    assert width < 1.6 * 2 * 1.96 * spread  # wide enough, yet of use
    assert np.mean([d.difference for d in found]) == pytest.approx(0.1, abs=4 * spread / np.sqrt(120) + 0.002)


def test_blocks_keep_intervals_honest_where_neighbours_are_alike():
    """Maps that are constant over squares of 3 x 3 hold a ninth of the spots' information."""
    rng = np.random.default_rng(13)
    n_blocks, width = int(BLOCKS.max()) + 1, {}
    truth = rng.normal(size=(n_blocks, 25))[BLOCKS]
    guesses = {name: 0.3 * truth + rng.normal(size=(n_blocks, 25))[BLOCKS] for name in "ab"}
    genes = np.ones((400, 25))
    for side in (3.0, 0.5):
        blocks = spatial_blocks(GRID, side)
        scored = draw_scores(KEY, "A", truth, guesses, blocks=blocks, gene_draws=genes, seed=0)
        found = compare([scored], "a", "b", seed=0)
        width[side] = found.high - found.low
    assert width[3.0] / width[0.5] == pytest.approx(3, rel=0.3)


def test_equal_methods_are_rarely_called_different():
    rng = np.random.default_rng(12)
    p_values = []
    for k in range(100):
        truth = rng.normal(size=(len(GRID), 25))
        guesses = {name: 0.3 * truth + rng.normal(size=truth.shape) for name in "ab"}
        p_values.append(compare([drawn(truth, guesses, n_draws=199, seed=k)], "a", "b", seed=k).p_value)
    assert np.mean(np.array(p_values) < 0.05) <= 0.10
