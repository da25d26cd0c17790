"""Ridge finds the planted link, chooses its penalty inside training, and stores all of itself."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from gr2st_core.errors import MissingArtifactError, SplitError
from gr2st_core.evaluation.metrics import pearson_per_gene
from gr2st_core.expression.targets import to_target
from gr2st_core.models.ridge import RidgePredictor
from gr2st_core.settings import RidgeSettings

SETTINGS = RidgeSettings(penalties=(1.0, 30.0, 1e3, 1e5))


def ridge(settings: RidgeSettings = SETTINGS, features: tuple[str, ...] = ("tiny",)) -> RidgePredictor:
    return RidgePredictor(features, settings, profile="toy")


def test_the_planted_link_is_found_in_an_unseen_section(planted_request, planted_section, planted_panel) -> None:
    query = planted_section("C9")
    predicted = ridge().fit(planted_request("A1", "B1", "B2")).predict(query.image)
    assert pearson_per_gene(to_target(query.counts, planted_panel, "per_spot"), predicted.values).mean() > 0.6
    assert predicted.values.dtype == np.float32


def test_coefficients_equal_a_reference_implementation(planted_request, planted_section, planted_panel) -> None:
    request = planted_request("A1", "B1")
    x = np.concatenate([s.image.features["tiny"] for s in request.sections]).astype(np.float64)
    y = np.concatenate([to_target(s.counts, planted_panel, "per_spot") for s in request.sections])
    query = planted_section("C9").image
    standard = Ridge(alpha=30.0).fit((x - x.mean(axis=0)) / x.std(axis=0), y)
    expected = standard.predict((query.features["tiny"] - x.mean(axis=0)) / x.std(axis=0))
    fitted = ridge(RidgeSettings(penalties=(30.0,))).fit(request)
    np.testing.assert_allclose(fitted.predict(query).values, expected, atol=1e-4)


def test_an_enormous_penalty_predicts_the_training_mean(planted_request, planted_section, planted_panel) -> None:
    request = planted_request("A1", "B1")
    mean = np.concatenate([to_target(s.counts, planted_panel, "per_spot") for s in request.sections]).mean(axis=0)
    values = ridge(RidgeSettings(penalties=(1e15,))).fit(request).predict(planted_section("C9").image).values
    np.testing.assert_allclose(values, np.tile(mean, (len(values), 1)), atol=1e-5)


def test_the_penalty_of_the_best_inner_score_is_taken(planted_request) -> None:
    choice = ridge().fit(planted_request("A1", "B1", "C1")).config["choice"]
    scores = {point["penalty"]: point["pearson"] for point in choice["inner_curve"]}
    assert set(scores) == set(SETTINGS.penalties)
    assert choice["penalty"] == max(scores, key=scores.__getitem__)
    assert choice["inner_unit"] == "patient"


@pytest.mark.parametrize(
    ("names", "unit"), [(("A1", "B1"), "patient"), (("A1", "A2"), "section"), (("A1",), "quadrant")]
)
def test_the_inner_split_that_was_used_is_recorded(planted_request, names, unit) -> None:
    choice = ridge().fit(planted_request(*names)).config["choice"]
    assert choice["inner_unit"] == unit
    assert len(choice["split_digest"]) == 64


def test_a_tie_takes_the_stronger_penalty(planted_request) -> None:
    # Penalties this strong collapse every prediction, which scores 0 under both.
    settings = RidgeSettings(penalties=(1e15, 1e16))
    assert ridge(settings).fit(planted_request("A1", "B1")).config["choice"]["penalty"] == max(settings.penalties)


def test_weights_do_not_grow_with_training_spots(planted_request, planted_section) -> None:
    few = ridge().fit(planted_request("A1", "B1")).state()
    many = ridge().fit(planted_request("A1", "B1", "B2", "C1", "C2")).state()
    assert {n: a.shape for n, a in few.weights.items()} == {n: a.shape for n, a in many.weights.items()}
    assert not many.bank


def test_sections_without_an_image_are_left_aside(planted_request, planted_section) -> None:
    blind = planted_section("D1", encoders=())
    query = planted_section("E1").image
    alone = ridge().fit(planted_request("A1", "B1")).predict(query)
    np.testing.assert_array_equal(ridge().fit(planted_request("A1", "B1", blind)).predict(query).values, alone.values)


def test_training_without_any_image_is_refused(planted_request, planted_section) -> None:
    with pytest.raises(MissingArtifactError, match=r"no training section has patch features.*found=1"):
        ridge().fit(planted_request(planted_section("A1", encoders=())))


def test_a_training_section_without_the_needed_encoder_is_refused(planted_request, planted_section) -> None:
    with pytest.raises(MissingArtifactError, match=r"section=toy/B1.*encoder=\['tiny'\].*found=\['other'\]"):
        ridge().fit(planted_request("A1", planted_section("B1", encoders=("other",))))


def test_a_search_in_which_nothing_is_defined_is_refused(planted_request, planted_section) -> None:
    with pytest.raises(SplitError, match=r"no inner correlation is defined.*unit=section"):
        ridge().fit(planted_request(planted_section("A1", 1), planted_section("A2", 1)))


def test_features_of_another_width_are_refused(planted_request, planted_section) -> None:
    fitted = ridge(features=("tiny", "more")).fit(
        planted_request(*(planted_section(name, encoders=("tiny", "more")) for name in ("A1", "B1")))
    )
    query = planted_section("C1", encoders=("tiny", "more")).image
    query.features["more"] = query.features["more"][:, :4]  # type: ignore[index]
    with pytest.raises(MissingArtifactError, match=r"another width.*section=toy/C1, expected=20, found=14"):
        fitted.predict(query)
