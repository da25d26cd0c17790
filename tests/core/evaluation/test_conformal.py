"""Intervals cover what they say, of patients that they never saw, and say whom they speak of."""

import itertools

import numpy as np
import pytest
from scipy import sparse

from gr2st_core.cohorts import synthetic_section as drawn
from gr2st_core.cohorts.synthetic_counts import draw_counts, draw_depth, planted_rates
from gr2st_core.cohorts.synthetic_genes import draw_programmes
from gr2st_core.cohorts.synthetic_tissue import draw_tissue
from gr2st_core.errors import AlignmentError
from gr2st_core.evaluation.conformal import PatientErrors, calibrate
from gr2st_core.evaluation.error_quantile import error_quantile, rank_of_patients
from gr2st_core.expression.targets import to_target
from gr2st_core.settings import IntervalSettings
from gr2st_core.types import Counts, Panel

UM_PER_PX = 8.0
SETTINGS = IntervalSettings()


def patient(number, programmes):
    """Tissue shares and counts of one synthetic patient's section; its image is not needed."""
    streams = (np.random.default_rng([number, purpose]) for purpose in itertools.count())
    size_px = int((drawn._GRID - 1 + 2 * drawn._MARGIN_PITCHES) * drawn.PITCH_UM / UM_PER_PX)
    tissue = draw_tissue(size_px, UM_PER_PX, next(streams), next(streams))
    _, new_xy, pixel_xy = drawn._grid(UM_PER_PX, size_px, next(streams))
    shares, covered = tissue.shares(pixel_xy, drawn._SPOT_UM)
    shares, new_xy = shares[covered > 0.5], new_xy[covered > 0.5]
    rates = planted_rates(shares, programmes, next(streams))
    depth = draw_depth(shares, new_xy, drawn._MEDIAN_DEPTH[number % 4], next(streams))
    return shares, draw_counts(rates, depth, programmes.dispersion, next(streams))


@pytest.fixture(scope="module")
def synthetic():
    """Out-of-fold errors of 24 synthetic patients, each predicted by a regression on the others' tissue."""
    programmes = draw_programmes(np.random.default_rng(0))
    common = np.argsort(-programmes.profiles.sum(axis=0))[:60]
    panel = Panel("common", tuple(programmes.genes[index] for index in common))
    patients = [patient(number, programmes) for number in range(24)]
    tissue = [np.c_[np.ones(len(shares)), np.log(shares + 0.05)] for shares, _ in patients]
    truth = [
        to_target(Counts(sparse.csr_matrix(counts), programmes.genes), panel, "per_spot") for _, counts in patients
    ]
    errors = {}
    for own, (x, y) in enumerate(zip(tissue, truth, strict=True)):
        others = [place for place in range(len(patients)) if place != own]
        coefficients = np.linalg.lstsq(
            np.concatenate([tissue[place] for place in others]), np.concatenate([truth[place] for place in others])
        )[0]
        errors[f"p{own:02d}"] = PatientErrors(panel.genes, x @ coefficients, y)
    return errors


@pytest.mark.parametrize("n_patients", [8, 20, 24])
def test_nominal_90_percent_intervals_cover_87_to_93_percent_of_left_out_synthetic_patients(synthetic, n_patients):
    some = dict(itertools.islice(synthetic.items(), n_patients))
    intervals = calibrate(some, next(iter(some.values())).genes, SETTINGS)
    assert 0.87 < intervals.coverage.mean() < 0.93
    assert set(intervals.support) == {"patient" if n_patients >= 9 else "spot-level, same patients"}
    assert intervals.patients == tuple(some)


def test_where_patients_differ_more_than_spots_intervals_speak_of_patients_not_of_spots():
    rng = np.random.default_rng(0)
    level = rng.normal(size=200)[:, None, None]
    observed = level + 0.01 * rng.normal(size=(200, 300, 1))
    truth = [PatientErrors(("g",), np.zeros((300, 1)), values) for values in observed]
    covered = []
    for start in range(0, 200, 20):  # one calibration has its luck, the promise is about all of them
        few = {f"p{place}": errors for place, errors in enumerate(truth[start : start + 20])}
        intervals = calibrate(few, ("g",), SETTINGS)
        strangers = [*truth[:start], *truth[start + 20 :]]
        covered += [np.abs(errors.observed) <= intervals.rule.half_width(errors.predicted) for errors in strangers]
    assert 0.88 < np.mean(covered) < 0.94


def test_rank_of_patients_exists_from_nine_on():
    assert [rank_of_patients(n, 0.9) <= n for n in (1, 8, 9, 10, 19)] == [False, False, True, True, True]
    assert [rank_of_patients(n, 0.9) for n in (9, 19, 29)] == [9, 18, 27]


def test_median_over_draws_equals_that_of_many_draws():
    rng = np.random.default_rng(1)
    patients = [rng.gamma(2.0, scale, (40, 3)) for scale in rng.uniform(0.5, 2.0, 12)]
    rank = rank_of_patients(len(patients), 0.9)
    draws = np.stack([each[rng.integers(0, 40, 20_001)] for each in patients])
    ranked, found = np.sort(draws, axis=0)[rank - 1], error_quantile(patients, 0.9)
    assert ((ranked <= found).mean(axis=0) > 0.49).all()
    assert ((ranked < found).mean(axis=0) < 0.51).all()


def test_with_few_patients_the_quantile_is_that_of_all_spots_every_patient_weighing_alike():
    many, few = np.zeros((900, 1)), np.arange(1, 11.0)[:, None]
    assert error_quantile([many, few], 0.9) == 9  # half of the weight below 1, then 0.05 a spot, and one in 910 more
    assert error_quantile([np.arange(1, 101.0)[:, None]], 0.9) == 91


def test_intervals_grow_where_errors_do_and_stay_above_zero():
    rng = np.random.default_rng(2)
    predicted = rng.uniform(0, 4, (3000, 1))
    observed = np.maximum(predicted + rng.normal(size=predicted.shape) * (0.1 + 0.5 * predicted), 0)
    intervals = calibrate({"a": PatientErrors(("g",), predicted, observed)}, ("g",), SETTINGS)
    low, high = intervals.rule.half_width(np.array([[0.5], [3.5]])).ravel()
    assert high > 2.5 * low
    lower, upper = intervals.rule.ends(np.array([[0.1], [3.0]], dtype=np.float32))
    assert (lower >= 0).all()
    assert lower.dtype == upper.dtype == np.float32
    assert (lower[1] < 3.0) & (upper[1] > 3.0)
    inside = (np.abs(observed - predicted) <= intervals.rule.half_width(predicted)).mean()
    assert inside == pytest.approx(0.9, abs=0.005)
    assert np.isnan(intervals.coverage).all()  # nobody else to be calibrated on


def test_genes_that_only_some_patients_were_predicted_for_rest_on_these():
    rng = np.random.default_rng(3)

    def errors(*genes):
        return PatientErrors(genes, np.zeros((50, len(genes))), rng.exponential(size=(50, len(genes))))

    patients = {"a": errors("x", "y"), "b": errors("y"), "empty": PatientErrors(("x",), *np.zeros((2, 0, 1)))}
    intervals = calibrate(patients, ("y", "nobody", "x"), SETTINGS)
    assert intervals.n_patients.tolist() == [2, 0, 1]
    assert intervals.n_spots.tolist() == [100, 0, 50]
    assert intervals.support == ("spot-level, same patients", "none", "spot-level, same patients")
    assert np.isnan(intervals.rule.quantile).tolist() == [False, True, False]
    assert np.isnan(intervals.rule.half_width(np.ones((2, 3)))).tolist() == [[False, True, False]] * 2
    assert intervals.patients == ("a", "b")
    assert np.isnan(intervals.coverage).tolist() == [[False, True, True], [False, True, True]]


def test_calibration_spots_are_drawn_from_all_patients_alike_and_the_same_every_time():
    rng = np.random.default_rng(4)
    patients = {
        name: PatientErrors(("g",), np.zeros((n, 1)), rng.exponential(size=(n, 1)))
        for name, n in (("a", 900), ("b", 80))
    }
    settings = IntervalSettings(n_spots=200)
    first, second = (calibrate(patients, ("g",), settings) for _ in range(2))
    assert first.n_spots.tolist() == [180]
    assert first.rule.quantile.tobytes() == second.rule.quantile.tobytes()


def test_predictions_without_measurements_are_refused():
    with pytest.raises(AlignmentError) as caught:
        PatientErrors(("g",), np.zeros((3, 1)), np.zeros((2, 1)))
    assert caught.value.context["found"] == (2, 1)
