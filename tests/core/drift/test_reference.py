"""Spots unlike training stand out, those like it do not, and nobody is compared with itself."""

import numpy as np
import pytest

from gr2st_core.drift.reference import fit_reference
from gr2st_core.drift.samples import draw_spots, units_of
from gr2st_core.errors import AlignmentError, MissingArtifactError
from gr2st_core.settings import DriftSettings

SETTINGS = DriftSettings(n_components=4, n_neighbours=5)
NAMES = np.array([f"s{i:03d}" for i in range(80)])
MIX = np.random.default_rng(99).normal(size=(4, 12))


def section(seed: int, *, shift: float = 0.0, between: float = 0.3) -> np.ndarray:
    """Features of 80 spots: what varies within sections, a little between them, and a shift of all spots."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(80, 4)) + between * rng.normal(size=4) + shift * np.array([1.0, 0, 0, 0])
    return (own @ MIX + 0.05 * rng.normal(size=(80, 12))).astype(np.float32)


def reference(seed: int = 0, n: int = 4, **settings: float):
    chosen = SETTINGS.model_copy(update=settings)
    samples = [draw_spots(f"c/{i}", NAMES, section(100 * seed + i), 60) for i in range(n)]
    return fit_reference(samples, {f"c/{i}": f"p{i}" for i in range(n)}, chosen)


def test_shifted_spots_are_flagged_and_exchangeable_ones_as_often_as_the_level_says():
    like, unlike = [], []
    for seed in range(12):
        fitted = reference(seed)
        like.append(fitted.score("new/a", section(100 * seed + 50)).is_above.mean())
        unlike.append(fitted.score("new/b", section(100 * seed + 51, shift=5.0)).is_above.mean())
    assert np.mean(like) == pytest.approx(0.05, abs=0.03)
    assert min(unlike) > 0.8


def test_a_quantile_is_the_share_of_left_out_spots_that_score_less():
    fitted = reference()
    scores = fitted.score("new/a", section(50))
    assert scores.quantile[0] == np.mean(fitted.calibration < scores.score[0])
    assert np.mean(fitted.calibration > fitted.spot_threshold) <= 0.05
    assert np.array_equal(scores.is_above, scores.score > fitted.spot_threshold)


def test_permuted_spots_have_permuted_scores_in_query_and_training():
    order = np.random.default_rng(1).permutation(80)
    features, fitted = section(50), reference()
    plain, permuted = fitted.score("new/a", features), fitted.score("new/a", features[order])
    np.testing.assert_allclose(permuted.score, plain.score[order], rtol=1e-9)
    assert np.array_equal(permuted.nearest_spots, plain.nearest_spots[order])
    own = section(0)
    drawn, again = draw_spots("c/0", NAMES, own, 60), draw_spots("c/0", NAMES[order], own[order], 60)
    assert np.array_equal(drawn.spot_ids, again.spot_ids)
    assert np.array_equal(drawn.features, again.features)


def test_equal_inputs_give_equal_scores_whatever_the_order_of_sections():
    samples = [draw_spots(f"c/{i}", NAMES, section(i), 60) for i in range(4)]
    patients = {f"c/{i}": f"p{i}" for i in range(4)}
    one, two = fit_reference(samples, patients, SETTINGS), fit_reference(samples[::-1], patients, SETTINGS)
    assert one.calibration.tobytes() == two.calibration.tobytes()
    assert one.score("n/a", section(50)).score.tobytes() == two.score("n/a", section(50)).score.tobytes()


def test_distances_are_those_of_whitened_components():
    fitted = reference(n=3)
    rows = fitted.whole.rows
    np.testing.assert_allclose(rows.std(axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(np.cov(rows.T, ddof=0), np.eye(rows.shape[1]), atol=1e-5)
    features = section(50)[:3]
    apart = np.linalg.norm(fitted.whole.projection(features)[:, None] - rows, axis=2)
    scores = fitted.score("n/a", features)
    np.testing.assert_allclose(scores.score, np.sort(apart, axis=1)[:, 4], rtol=1e-6)
    assert np.array_equal(scores.nearest_spots, fitted.whole.spot_ids[np.argsort(apart, axis=1)[:, :5]])


def test_a_training_section_is_compared_without_its_patient():
    samples = [draw_spots(f"c/{i}", NAMES, section(i), 60) for i in range(6)]
    mates = fit_reference(samples, {f"c/{i}": f"p{i // 2}" for i in range(6)}, SETTINGS)
    assert mates.units.left_out == "patient"
    found = mates.score("c/2", section(2))
    assert set(found.nearest_sections.ravel()) <= {"c/0", "c/1", "c/4", "c/5"}
    single = fit_reference(samples, {f"c/{i}": "p" for i in range(6)}, SETTINGS)
    assert single.units.left_out == "section"
    assert "c/3" in set(single.score("c/2", section(2)).nearest_sections.ravel())
    assert "c/2" not in set(single.score("c/2", section(2)).nearest_sections.ravel())


def test_many_units_share_few_fits_that_lack_their_own():
    samples = [draw_spots(f"c/{i:02d}", NAMES[:8], section(i)[:8], 8) for i in range(25)]
    fitted = fit_reference(samples, {f"c/{i:02d}": f"p{i:02d}" for i in range(25)}, SETTINGS)
    assert len({id(bank) for bank in fitted.without.values()}) == 20
    assert all(section not in bank.section_keys for section, bank in fitted.without.items())


def test_two_training_sections_give_scores_and_no_threshold():
    fitted = reference(n=2)
    scores = fitted.score("new/a", section(50))
    assert (fitted.units.left_out, fitted.spot_threshold, scores.quantile, scores.is_above) == (None,) * 4
    assert (scores.score > 0).all()
    with pytest.raises(MissingArtifactError) as error:
        fitted.score("c/0", section(0))
    assert error.value.context["section"] == "c/0"


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(MissingArtifactError) as error:
        reference().score("new/a", section(50)[:, :7])
    assert (error.value.context["expected"], error.value.context["found"]) == (12, 7)
    with pytest.raises(MissingArtifactError) as error:
        fit_reference([draw_spots("c/0", NAMES[:0], section(0)[:0], 5)], {"c/0": "p"}, SETTINGS)
    assert error.value.context["found"] == 1
    with pytest.raises(AlignmentError) as mismatch:
        draw_spots("c/0", NAMES, section(0)[:3], 5)
    assert (mismatch.value.context["section"], mismatch.value.context["found"]) == ("c/0", 3)


def test_patients_are_left_out_where_there_are_three():
    assert units_of({"c/1": "a", "c/2": "b", "c/3": "c"}).of == {"c/1": "a", "c/2": "b", "c/3": "c"}
    assert units_of({"c/1": "a", "c/2": "b", "c/3": "b"}).left_out == "section"
    assert units_of({"c/1": "a", "c/2": "b"}).left_out is None
