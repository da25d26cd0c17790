"""What a method says it looked up is what it predicted from."""

import dataclasses

import numpy as np
import pytest

from gr2st_core.cells.classes import CLASSES
from gr2st_core.errors import LeakageError
from gr2st_core.models.registry import BLENDED, method
from gr2st_core.models.training_spots import TrainingSpots
from gr2st_core.retrieval.references import LooksUp
from gr2st_core.settings import Settings
from gr2st_core.types import CellTypes

SMALL = {"d_embedding": 16, "n_heads": 2, "epochs": 2}
SETTINGS = Settings.model_validate(
    {
        "gr2st": {**SMALL, "top_ks": [7, 20]},
        "gr2st_r1": {**SMALL, "top_k": 9},
        "gr2st_r2": {**SMALL, "top_k": 9, "d_gate": 8},
        "knn": {"neighbours": [5]},
        "low_rank": {"n_averaged": 1},
    }
)
LOOKING_UP = ("gr2st_ours", "gr2st_r1", "gr2st_r2", "knn_m224")


@pytest.fixture
def trained(planted_section, planted_request):
    """``trained(name)``: a method trained on three sections, these, and a query section."""

    def build(name):
        def typed(section):
            shares = np.full((section.image.n_spots, len(CLASSES)), 1 / len(CLASSES))
            return dataclasses.replace(section, cell_types=CellTypes(CLASSES, shares, "expression", "test"))

        encoders = method(name).features
        sections = [typed(planted_section(s, encoders=encoders)) for s in ("A1", "A2", "B1")]
        query = planted_section("C1", encoders=encoders).image
        return method(name).build(SETTINGS).fit(planted_request(*sections)), sections, query

    return build


@pytest.mark.parametrize("name", LOOKING_UP)
def test_all_references_weighed_give_the_part_that_they_are_of(name, trained):
    fitted, sections, query = trained(name)
    found = fitted.references(query, 10_000)
    bank = fitted.state().bank
    spots = TrainingSpots.from_arrays(bank, len(bank["expression"]))
    row = {place: k for k, place in enumerate(zip(spots.section_keys.tolist(), spots.spot_ids.tolist(), strict=True))}
    assert set(row) == {(str(s.key), spot) for s in sections for spot in s.image.spot_ids.tolist()}
    chosen = [
        [row[place] for place in zip(*pair, strict=True)]
        for pair in zip(found.section_keys.tolist(), found.spot_ids.tolist(), strict=True)
    ]
    mean = np.einsum("qk,qkg->qg", found.weights, bank["expression"].astype(np.float32)[np.array(chosen)])
    prediction = fitted.predict(query)
    part = prediction.values if found.part == "values" else prediction.components[found.part]
    np.testing.assert_allclose(fitted.units.absolute(mean) if name == "gr2st_ours" else mean, part, atol=1e-5)
    assert found.share == pytest.approx(1.0 if prediction.weight is None else prediction.weight)


@pytest.mark.parametrize("name", LOOKING_UP)
def test_few_references_are_the_heaviest_of_all(name, trained):
    fitted, _, query = trained(name)
    few, every = (fitted.references(query, k) for k in (3, 10_000))
    assert few.weights.shape == few.section_keys.shape == few.spot_ids.shape == (query.n_spots, 3)
    np.testing.assert_array_equal(few.weights, every.weights[:, :3])
    np.testing.assert_array_equal(few.spot_ids, every.spot_ids[:, :3])
    assert (np.diff(every.weights, axis=1) <= 0).all()
    np.testing.assert_allclose(every.weights.sum(axis=1), 1, atol=1e-5)
    assert (few.weights.sum(axis=1) <= 1 + 1e-6).all()


@pytest.mark.parametrize("name", LOOKING_UP)
def test_a_training_section_has_no_references(name, trained):
    fitted, sections, _ = trained(name)
    with pytest.raises(LeakageError):
        fitted.references(sections[0].image, 3)


def test_a_blend_names_those_of_its_heaviest_part_that_looks_up(trained):
    fitted, _, query = trained("blend_default")
    labels = ("low_rank_tcg_counts", "knn_m224", "gr2st_ours/regression", "gr2st_ours/retrieval")
    for weights, part in (((0.4, 0.3, 0.1, 0.2), "knn_m224"), ((0.4, 0.1, 0.1, 0.4), "gr2st_ours/retrieval")):
        found = dataclasses.replace(fitted, weights=weights).references(query, 4)
        own = fitted.fitted[part.partition("/")[0]].references(query, 4)
        assert (found.part, found.share) == (part, weights[labels.index(part)])
        np.testing.assert_array_equal(found.spot_ids, own.spot_ids)
    lone = dataclasses.replace(
        fitted, components=fitted.components[:1], weights=(1.0,), fitted={BLENDED[0]: fitted.fitted[BLENDED[0]]}
    )
    assert lone.references(query, 4) is None


def test_a_method_without_a_bank_looks_nothing_up(trained):
    fitted, _, _ = trained("ridge_m224")
    assert not isinstance(fitted, LooksUp)
