"""A better model takes over, a worse or lucky one does not, and the reasons say why."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from gr2st_core.errors import LeakageError, SchemaError
from gr2st_core.evaluation.metrics import score_section
from gr2st_core.evaluation.pairing import KEY, Paired, pair, pair_with_control, patient_scores, require_out_of_fold
from gr2st_core.evaluation.promotion import Decision, decide, weigh
from gr2st_core.evaluation.shuffled import shuffled_pearson
from gr2st_core.expression.targets import to_target
from gr2st_core.keys import SectionKey
from gr2st_core.models.nulls import SamePlaceNull, TrainingMeanNull
from gr2st_core.models.ridge import RidgePredictor
from gr2st_core.predictor import FitRequest
from gr2st_core.settings import RidgeSettings, ServingSettings
from gr2st_core.types import Counts, ImageSection, Panel, TrainSection

RULE = ServingSettings(min_effect=0.01, min_signal=0.01, max_loss=0.02)
MANY = tuple("ABCDEFGH")


def paired(gains, base=0.2):
    patients = tuple(f"c/{name}" for name in MANY[: len(gains)])
    return Paired(patients, tuple(base + g for g in gains), (base,) * len(gains), len(gains), 5)


def scores(values, **columns):
    """One section a patient, genes g0, g1, ... with the values given."""
    rows = [
        {"cohort": "c", "patient_id": p, "section_id": f"{p}1", "n_spots": 9, "gene": f"g{k}", "pearson_zero_filled": v}
        for p, row in values.items()
        for k, v in enumerate(row)
    ]
    facts = {"split_unit": "patient", "patient_in_training": False, "model_id": "m"}
    return pd.DataFrame(rows).assign(**{**facts, **columns})


def test_many_patients_pass_by_the_lower_bound_not_by_the_mean():
    sure, lucky = paired([0.03] * 7 + [0.02]), paired([0.3] + [-0.005] * 7)
    assert weigh(sure, RULE, 0.01).passed
    found = weigh(lucky, RULE, 0.01)
    assert found.gain > RULE.min_effect
    assert not found.passed
    assert found.low < RULE.min_effect
    assert "lower 90% bound" in found.words


def test_the_bound_is_the_lower_quantile_of_patients_drawn_with_replacement():
    gains = np.array([0.0, 0.01, 0.02, 0.03, 0.05, 0.08])
    rng = np.random.default_rng(5)
    means = gains[rng.integers(6, size=(200_000, 6))].mean(axis=1)
    low = weigh(paired(gains), RULE.model_copy(update={"n_draws": 50_000}), 0.01).low
    assert low == pytest.approx(np.quantile(means, 0.10), abs=3e-4)
    assert weigh(paired(gains), RULE, 0.01) == weigh(paired(gains), RULE, 0.01)
    stricter = RULE.model_copy(update={"confidence": 0.99})
    assert weigh(paired(gains), stricter, 0.01).low < low


def test_few_patients_pass_by_the_mean_unless_one_loses_too_much():
    assert weigh(paired([0.05, 0.02, -0.015]), RULE, 0.01).passed
    assert not weigh(paired([0.15, 0.12, -0.025]), RULE, 0.01).passed
    assert not weigh(paired([0.011, 0.005, 0.012]), RULE, 0.01).passed
    assert weigh(paired([0.05] * 5), RULE, 0.01).low is None


def test_nothing_in_common_passes_nothing():
    empty = Paired((), (), (), 0, 0, 4)
    assert not weigh(empty, RULE, 0.01).passed
    assert decide(empty, {"null": paired([0.1] * 8)}, RULE).verdict == "refused"


def test_a_champion_is_beaten_only_by_what_beats_the_controls_too():
    better, equal = paired([0.05] * 8), paired([0.0] * 8)
    assert decide(better, {"null": better}, RULE).verdict == "promoted"
    decision = decide(better, {"null": equal, "other": better}, RULE)
    assert decision.verdict == "refused"
    assert [reason.endswith("not enough") for reason in decision.reasons] == [True, False, False]
    assert decide(equal, {"null": better}, RULE).verdict == "refused"
    assert decide(better, {}, RULE).verdict == "refused"


def test_controls_must_be_beaten_by_more_than_a_champion():
    wider = RULE.model_copy(update={"min_signal": 0.08})
    small, large = paired([0.05] * 8), paired([0.1] * 8)
    assert decide(small, {"null": large}, wider).verdict == "promoted"
    assert decide(small, {"null": small}, wider).verdict == "refused"
    assert decide(None, {"null": small}, wider).verdict == "refused"


def test_the_first_champion_needs_the_controls_only():
    decision = decide(None, {"null": paired([0.05] * 3)}, RULE)
    assert (decision.verdict, decision.is_first, decision.has_few_patients) == ("promoted", True, True)
    assert decide(None, {"null": paired([0.0] * 3)}, RULE).verdict == "refused"


def test_few_patients_are_flagged_and_wait_for_a_person_where_the_settings_say_so():
    hold = RULE.model_copy(update={"few_patients": "hold"})
    few, many = paired([0.05] * 5), paired([0.05] * 6)
    assert decide(few, {"null": few}, RULE).has_few_patients
    assert decide(few, {"null": few}, hold).verdict == "held"
    assert decide(many, {"null": many}, hold).verdict == "promoted"
    assert not decide(many, {"null": many}, hold).has_few_patients
    assert decide(None, {"null": few}, hold).verdict == "promoted"
    bad = paired([-0.05] * 5)
    assert decide(bad, {"null": few}, hold).verdict == "refused"


def test_a_decision_comes_back_from_json_as_it_was():
    decision = decide(paired([0.05] * 8), {"null": paired([0.1] * 8)}, RULE)
    assert Decision.from_document(json.loads(json.dumps(decision.to_document()))) == decision


def test_scores_are_paired_on_what_both_have_and_the_rest_is_counted():
    ours = scores({"A": [0.4, 0.2, np.nan], "B": [0.6, 0.2, 0.1], "C": [0.3, 0.3, 0.3]})
    theirs = scores({"A": [0.1, 0.1, 0.9], "B": [0.2, 0.0], "D": [0.5]})
    found = pair(ours.sample(frac=1, random_state=0), theirs)
    assert found.patients == ("c/A", "c/B")
    np.testing.assert_allclose(found.challenger, [0.3, 0.4])
    np.testing.assert_allclose(found.opponent, [0.1, 0.1])
    np.testing.assert_allclose(found.gains, [0.2, 0.3])
    assert (found.n_sections, found.n_genes, found.n_left_out) == (2, 2, 6)  # A g2, B g2, C x 3, D
    assert found.patients_left_out == ("c/C", "c/D")
    decision = decide(found, {"null": found}, RULE)
    assert "6 scores that only one has were left out, of them all of c/C, c/D" in decision.reasons[-1]


def test_a_section_on_other_spots_or_of_another_patient_is_no_pair():
    ours = scores({"A": [0.4], "B": [0.4]})
    theirs = ours.assign(n_spots=[9, 8])
    assert pair(ours, theirs).patients == ("c/A",)
    assert pair(ours, ours.assign(patient_id=["A", "X"])).patients == ("c/A",)


def test_sections_of_a_patient_weigh_alike_whatever_their_genes():
    rows = scores({"A": [0.4, 0.4], "B": [0.1]}).assign(patient_id="A")
    assert patient_scores(rows).to_dict() == {"c/A": 0.25}


def test_a_section_scored_twice_is_refused():
    twice = pd.concat([scores({"A": [0.4]}), scores({"A": [0.4]}, n_spots=8)])
    with pytest.raises(SchemaError) as caught:
        pair(twice, scores({"A": [0.4]}))
    assert caught.value.context["section"] == "c/A1"


def test_a_constant_prediction_has_a_shuffled_control_of_zero():
    control = pd.DataFrame(
        {"cohort": "c", "patient_id": ["A", "B"], "section_id": ["A1", "B1"], "pearson_shuffled": [0.1, np.nan]}
    )
    found = pair_with_control(scores({"A": [0.4], "B": [0.2]}), control)
    assert found.opponent == (0.1, 0.0)
    with pytest.raises(SchemaError):
        pair_with_control(scores({"A": [0.4], "Z": [0.2]}), control)


@pytest.mark.parametrize(
    ("columns", "trained_on"),
    [({"patient_in_training": True}, ()), ({"split_unit": "all"}, ()), ({"model_id": "fit"}, ("c/A", "c/Z"))],
)
def test_scores_of_patients_that_the_model_saw_are_refused(columns, trained_on):
    with pytest.raises(LeakageError) as caught:
        require_out_of_fold(scores({"A": [0.4]}, **columns), "fit", trained_on)
    assert caught.value.context["field"] == "patient_id"
    assert caught.value.context["found"] == ["c/A"]


def test_the_served_fit_may_be_scored_on_patients_it_never_saw():
    rows = scores({"A": [0.4]}, model_id="fit", split_unit="external")
    require_out_of_fold(rows, "fit", ("c/B",))
    require_out_of_fold(scores({"B": [0.4]}), "fit", ("c/B",))  # another model, which did not see B


GENES = tuple(f"g{k}" for k in range(8))
PANEL = Panel("toy", GENES)


def section(patient):
    """Sixty spots whose counts follow five of forty features."""
    rng = np.random.default_rng(ord(patient))
    features = rng.normal(size=(60, 40)).astype(np.float32)
    link = np.random.default_rng(0).normal(size=(5, len(GENES)))
    counts = rng.poisson(np.exp(2.5 + 0.35 * features[:, :5] @ link))
    xy = np.stack(np.divmod(np.arange(60), 8), axis=1).astype(float)
    names = np.array([f"{x:.0f}x{y:.0f}" for x, y in xy])
    image = ImageSection(
        SectionKey("c", f"{patient}1"), patient, names, xy, 100 * xy + 500, 2.0, 100.0, {"f": features}
    )
    return TrainSection(image, Counts(sparse.csr_matrix(counts), GENES))


def shuffled_counts(training):
    order = np.random.default_rng(1).permutation(60)
    return replace(training, counts=training.counts.rows(order))


def out_of_fold(predictor, spoil=lambda training: training):
    """Leave-one-patient-out scores against the true counts, and the shuffled controls."""
    sections = [section(patient) for patient in MANY]
    rows, controls = [], []
    for held in sections:
        fitted = predictor.fit(FitRequest([spoil(s) for s in sections if s is not held], PANEL, "per_spot"))
        truth, guess = to_target(held.counts, PANEL, "per_spot"), fitted.predict(held.image).values
        identity = {"cohort": "c", "patient_id": held.patient_id, "section_id": held.key.section_id}
        rows.append(score_section(truth, guess, GENES).assign(**identity, n_spots=60))
        controls.append({**identity, "pearson_shuffled": shuffled_pearson(truth, guess, n_permutations=5)})
    return pd.concat(rows, ignore_index=True), pd.DataFrame(controls)


def ridge(*penalties):
    return RidgePredictor(("f",), RidgeSettings(penalties=penalties), profile="toy")


@pytest.fixture(scope="module")
def nulls():
    return {"mean": out_of_fold(TrainingMeanNull())[0], "place": out_of_fold(SamePlaceNull())[0]}


def judged(found, nulls, champion=None):
    rows, control = found
    controls = {name: pair(rows, null) for name, null in nulls.items()}
    controls["shuffled"] = pair_with_control(rows, control)
    return decide(pair(rows, champion) if champion is not None else None, controls, ServingSettings())


def test_a_model_trained_on_shuffled_counts_is_never_promoted_and_a_better_one_is(nulls):
    honest, spoilt = out_of_fold(ridge(1e2, 1e3, 1e4)), out_of_fold(ridge(1e2, 1e3, 1e4), shuffled_counts)
    blunt = honest[0].assign(pearson_zero_filled=honest[0].pearson_zero_filled - 0.05)
    assert patient_scores(honest[0]).mean() > 0.5
    assert abs(patient_scores(spoilt[0]).mean()) < 0.05
    assert judged(honest, nulls).verdict == "promoted"
    assert judged(honest, nulls, blunt).verdict == "promoted"
    assert judged(spoilt, nulls).verdict == "refused"
    assert judged(spoilt, nulls, blunt).verdict == "refused"
    assert judged(honest, nulls, honest[0]).verdict == "refused"
    assert set(KEY) <= set(honest[0].columns)
