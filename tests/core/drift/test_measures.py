"""Thresholds by leaving out, and distances of whole sections."""

import numpy as np
import pytest

from gr2st_core.drift.distances import PredictedGenes, between_predictions, from_mean, on_common_genes
from gr2st_core.drift.measures import compare
from gr2st_core.drift.thresholds import learn_threshold
from gr2st_core.errors import PanelError

PATIENTS = {f"c/{i}": f"p{i}" for i in range(4)}


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
    patients = {f"c/{i}": f"p{i}" for i in range(n)}
    alarms, hits = [], []
    for seed in range(300 if n < 20 else 150):
        draws = np.random.default_rng(seed).normal(size=n + 1)
        values = {f"c/{i}": float(draw) for i, draw in enumerate(draws[:n])}
        found = {f.section: f for f in compare({**values, "n/like": draws[n], "n/far": 12.0}, patients, from_mean)}
        alarms.append(found["n/like"].is_drift)
        hits.append(found["n/far"].is_drift)
    assert np.mean(alarms) < 0.12
    assert np.mean(hits) > 0.9


def test_training_sections_are_compared_with_other_units_alone():
    found = compare({"c/0": 0.0, "c/1": 1.0, "c/2": 2.0, "c/3": 3.0, "n/1": 5.0}, PATIENTS, from_mean)
    assert [(f.section, f.value, f.is_training) for f in found] == [
        ("c/0", 2.0, True),
        ("c/1", pytest.approx(2 / 3), True),
        ("c/2", pytest.approx(2 / 3), True),
        ("c/3", 2.0, True),
        ("n/1", 3.5, False),
    ]
    assert {(f.threshold, f.n_sections, f.n_units, f.left_out) for f in found} == {(3.5, 4, 4, "patient")}
    assert [f.is_drift for f in found] == [False] * 5
    assert (found[0].observed, found[0].expected, found[4].expected) == (0.0, 2.0, 1.5)


def test_sections_are_left_out_with_their_patient_where_there_are_three_patients():
    values = {"c/0": 0.0, "c/1": 4.0, "c/2": 1.0, "c/3": 1.0}
    found = compare(values, {"c/0": "p", "c/1": "p", "c/2": "q", "c/3": "r"}, from_mean)
    assert [(f.value, f.n_units) for f in found] == [(1.0, 3), (3.0, 3)] + 2 * [(pytest.approx(2 / 3), 3)]
    assert found[0].threshold == 6.0
    mates = compare(values, {"c/0": "p", "c/1": "p", "c/2": "q", "c/3": "q"}, from_mean)
    assert [(f.value, f.left_out) for f in mates][:2] == [(2.0, "section"), (pytest.approx(10 / 3), "section")]


def test_without_three_units_a_value_has_no_threshold_and_without_training_none_is_made():
    (only,) = compare({"c/0": 0.0, "c/1": 1.0, "n/1": 5.0}, PATIENTS, from_mean)
    assert (only.section, only.value, only.threshold, only.is_drift, only.n_units) == ("n/1", 4.5, None, None, 2)
    assert compare({"n/1": 5.0}, PATIENTS, from_mean) == []


def test_predictions_differ_by_moved_means_and_by_lost_spread():
    same = [predicted([1, 2], [0.5, 0.5]), predicted([1, 4], [0.5, 0.5])]
    assert between_predictions(predicted([1, 3], [0.5, 0.5]), same) == 0
    assert between_predictions(predicted([3, 1], [0.5, 0.5], ("B", "A")), same) == 0
    assert between_predictions(predicted([1.2, 2.8], [0.5, 0.5]), same) == pytest.approx(0.2)
    assert between_predictions(predicted([1, 3], [0, 0]), same) == pytest.approx(0.5)
    assert between_predictions(predicted([1, 3], [0.5, 0.1]), same) == pytest.approx(0.4 / np.sqrt(2))


def test_predictions_of_other_genes_are_refused_by_name():
    with pytest.raises(PanelError) as error:
        between_predictions(predicted([1, 2], [1, 1], ("A", "C")), [predicted([1, 2], [1, 1])])
    assert error.value.context["found"] == ["C"]


def test_sections_are_compared_on_the_genes_that_all_have():
    both = on_common_genes({"a": predicted([1, 2], [3, 4]), "b": predicted([5, 6], [7, 8], ("C", "B"))})
    assert (both["a"].genes, both["a"].mean.tolist(), both["b"].spread.tolist()) == (("B",), [2.0], [8.0])
    assert on_common_genes({}) == {}
    with pytest.raises(PanelError) as error:
        on_common_genes({"a": predicted([1, 2], [3, 4]), "b": predicted([5, 6], [7, 8], ("C", "D"))})
    assert error.value.context["found"] == 2
