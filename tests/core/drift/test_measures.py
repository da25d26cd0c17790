"""Thresholds by leaving out, and distances of whole sections."""

import numpy as np
import pytest

from gr2st_core.drift.measures import PredictedGenes, between_predictions, compare, from_mean
from gr2st_core.drift.samples import units_of
from gr2st_core.drift.thresholds import learn_threshold
from gr2st_core.errors import PanelError

UNITS = units_of({f"c/{i}": f"p{i}" for i in range(4)})


def predicted(mean, spread, genes=("A", "B")) -> PredictedGenes:
    return PredictedGenes(genes, np.asarray(mean, dtype=float), np.asarray(spread, dtype=float))


def test_few_units_give_their_largest_value_with_a_margin_many_a_quantile():
    assert learn_threshold({"a": [1.0], "b": [2.0]}) is None
    assert learn_threshold({"a": [1.0], "b": [2.0], "c": [0.5, 3.0]}) == 6.0
    assert learn_threshold({str(i): [float(i)] for i in range(18)}) == pytest.approx(17 * (1 + 3 / 18))
    assert learn_threshold({str(i): [float(i)] for i in range(19)}) == 18.0
    assert learn_threshold({str(i): [float(i)] for i in range(99)}) == 94.0


@pytest.mark.parametrize("n", [4, 10, 30])
def test_an_exchangeable_section_rarely_drifts_and_a_far_one_does(n):
    units = units_of({f"c/{i}": f"p{i}" for i in range(n)})
    alarms, hits = [], []
    for seed in range(300 if n < 20 else 150):
        draws = np.random.default_rng(seed).normal(size=n + 1)
        values = {f"c/{i}": float(draw) for i, draw in enumerate(draws[:n])}
        found = {f.section: f for f in compare({**values, "n/like": draws[n], "n/far": 12.0}, units, from_mean)}
        alarms.append(found["n/like"].is_drift)
        hits.append(found["n/far"].is_drift)
    assert np.mean(alarms) < 0.12
    assert np.mean(hits) > 0.9


def test_training_sections_are_compared_with_other_units_alone():
    found = compare({"c/0": 0.0, "c/1": 1.0, "c/2": 2.0, "c/3": 3.0, "n/1": 5.0}, UNITS, from_mean)
    assert [(f.section, f.value, f.is_training) for f in found] == [
        ("c/0", 2.0, True), ("c/1", pytest.approx(2 / 3), True), ("c/2", pytest.approx(2 / 3), True), ("c/3", 2.0, True),
        ("n/1", 3.5, False),
    ]  # fmt: skip
    assert {(f.threshold, f.n_sections, f.n_units) for f in found} == {(3.5, 4, 4)}
    assert [f.is_drift for f in found] == [False] * 5


def test_without_three_units_a_value_has_no_threshold_and_without_training_none_is_made():
    (only,) = compare({"c/0": 0.0, "c/1": 1.0, "n/1": 5.0}, UNITS, from_mean)
    assert (only.section, only.value, only.threshold, only.is_drift, only.n_units) == ("n/1", 4.5, None, None, 2)
    assert compare({"n/1": 5.0}, UNITS, from_mean) == []
    nobody = units_of({"c/0": "p", "c/1": "p"})
    assert [f.threshold for f in compare({"c/0": 0.0, "c/1": 1.0, "n/1": 5.0}, nobody, from_mean)] == [None]


def test_predictions_differ_by_moved_means_and_by_lost_spread():
    same = [predicted([1, 2], [0.5, 2.0])] * 3
    assert between_predictions(same[0], same) == 0
    assert between_predictions(predicted([1.5, 4], [0.5, 2.0]), same) == pytest.approx(1)
    assert between_predictions(predicted([1, 2], [0, 0]), same) == pytest.approx(1)
    assert between_predictions(predicted([2, 1], [2.0, 0.5], ("B", "A")), same) == 0


def test_predictions_of_other_genes_are_refused_by_name():
    with pytest.raises(PanelError) as error:
        between_predictions(predicted([1, 2], [1, 1], ("A", "C")), [predicted([1, 2], [1, 1])])
    assert error.value.context["found"] == ["C"]
    with pytest.raises(PanelError) as error:
        between_predictions(predicted([1, 2], [1, 1]), [predicted([1, 2], [0, 0])])
    assert error.value.context["found"] == 2
