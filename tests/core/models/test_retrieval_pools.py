"""What a model looks up holds nothing of what its fold holds out; a copy of a query spot there is never found."""

import dataclasses

import pytest
from scipy import sparse

from gr2st_core.models.registry import method
from gr2st_core.predictor import FitRequest
from gr2st_core.settings import Settings
from gr2st_core.training.folds import SectionFact, make_folds
from gr2st_core.types import Counts

SMALL = {"d_embedding": 16, "n_heads": 2, "epochs": 2}
SETTINGS = Settings.model_validate(
    {"gr2st": SMALL, "gr2st_r1": SMALL, "gr2st_r2": {**SMALL, "d_gate": 8}, "knn": {"neighbours": [1]}}
)
WITH_A_POOL = ("gr2st_ours", "gr2st_r1", "gr2st_r2", "knn_m224")
NAMES = ("A1", "A2", "B1", "B2")


@pytest.fixture
def cohort(planted_section):
    """``cohort(encoders)``: four sections of two patients; the first spot of A2 is that of A1 with other counts."""

    def build(encoders):
        sections = {name: planted_section(name, encoders=encoders) for name in NAMES}
        original, mate = sections["A1"], sections["A2"]
        features = {name: block.copy() for name, block in mate.image.features.items()}
        for name, block in features.items():
            block[0] = original.image.features[name][0]
        matrix = mate.counts.matrix.toarray()
        matrix[0] = [1000, *[0] * 11]  # no other spot looks like this
        image = dataclasses.replace(mate.image, features=features)
        counts = Counts(sparse.csr_matrix(matrix), mate.counts.genes)
        sections["A2"] = dataclasses.replace(mate, image=image, counts=counts)
        return sections

    return build


@pytest.fixture
def fold_of(planted_panel):
    """``fold_of(unit, sections)``: the fold that holds out A1, or all of A, and its training job."""

    def build(unit, sections):
        facts = [SectionFact(s.key, s.patient_id, has_image=True, has_counts=True) for s in sections.values()]
        name = {"section": "toy/section-A1", "patient": "toy/patient-A"}[unit]
        (fold,) = [fold for fold in make_folds(facts) if fold.fold_id == name]
        training = [sections[key.section_id] for key in fold.train]
        return fold, FitRequest(training, planted_panel, "per_spot", split_unit=fold.split_unit)

    return build


@pytest.mark.parametrize("unit", ["section", "patient"])
@pytest.mark.parametrize("name", WITH_A_POOL)
def test_the_pool_is_the_training_spots_and_none_that_is_held_out(name, unit, cohort, fold_of):
    sections = cohort(method(name).features)
    fold, request = fold_of(unit, sections)
    bank = method(name).build(SETTINGS).fit(request).state().bank
    owners = set(bank["section_keys"].tobytes().decode().split("\n"))
    expected = {"section": {"toy/A2", "toy/B1", "toy/B2"}, "patient": {"toy/B1", "toy/B2"}}[unit]
    assert owners == {str(key) for key in fold.train} == expected


def test_a_copy_of_a_query_spot_is_found_in_a_mate_and_never_where_the_patient_is_held_out(cohort, fold_of):
    sections = cohort(method("knn_m224").features)
    planted = {}
    for unit in ("section", "patient"):
        _, request = fold_of(unit, sections)
        fitted = method("knn_m224").build(SETTINGS).fit(request)
        planted[unit] = fitted.predict(sections["A1"].image).values[0]
    assert planted["section"][0] > 3.9  # log10 of 10,001: the copy itself
    assert planted["section"][1:].max() == 0
    assert planted["patient"][0] < 3.9
    assert planted["patient"][1:].min() > 0
