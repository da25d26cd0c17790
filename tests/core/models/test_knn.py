"""Nearest neighbours: known answers, and a bank that refuses its own spots."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gr2st_core.errors import LeakageError
from gr2st_core.evaluation.metrics import pearson_per_gene
from gr2st_core.expression.targets import to_target
from gr2st_core.keys import SectionKey
from gr2st_core.models.knn import KnnPredictor
from gr2st_core.settings import KnnSettings


def knn(*neighbours: int) -> KnnPredictor:
    return KnnPredictor(("tiny",), KnnSettings(neighbours=neighbours), profile="toy")


def renamed(section, name: str):
    return replace(section.image, key=SectionKey("toy", name), patient_id=name[0])


def test_the_planted_link_is_found_in_an_unseen_section(planted_request, planted_section, planted_panel) -> None:
    query = planted_section("C9")
    predicted = knn(5, 20).fit(planted_request("A1", "B1", "B2")).predict(query.image)
    assert pearson_per_gene(to_target(query.counts, planted_panel, "per_spot"), predicted.values).mean() > 0.5


def test_the_one_nearest_spot_of_a_copy_is_its_original(planted_request, planted_section, planted_panel) -> None:
    original = planted_section("A1")
    predicted = knn(1).fit(planted_request("A1", "B1")).predict(renamed(original, "C1"))
    np.testing.assert_array_equal(predicted.values, to_target(original.counts, planted_panel, "per_spot"))


def test_more_neighbours_than_spots_average_them_all(planted_request, planted_section, planted_panel) -> None:
    request = planted_request("A1", "B1")
    rows = np.concatenate([to_target(s.counts, planted_panel, "per_spot") for s in request.sections])
    values = knn(10_000).fit(request).predict(planted_section("D1").image).values
    np.testing.assert_allclose(values, np.tile(rows.mean(axis=0, dtype=np.float64), (len(values), 1)), atol=1e-6)


def test_neighbours_equal_a_plain_search(planted_request, planted_section, planted_panel) -> None:
    request, query = planted_request("A1", "B1"), planted_section("C1").image
    x = np.concatenate([s.image.features["tiny"] for s in request.sections]).astype(np.float64)
    y = np.concatenate([to_target(s.counts, planted_panel, "per_spot") for s in request.sections])
    # Ten components of ten features: a rotation, which changes no cosine.
    train, test = ((rows - x.mean(axis=0)) / x.std(axis=0) for rows in (x, query.features["tiny"]))
    cosine = (test @ train.T) / np.linalg.norm(test, axis=1)[:, None] / np.linalg.norm(train, axis=1)
    expected = [y[np.argsort(-row)[:7]].mean(axis=0) for row in cosine]
    np.testing.assert_allclose(knn(7).fit(request).predict(query).values, expected, atol=1e-5)


def test_the_number_of_the_best_inner_score_is_taken(planted_request) -> None:
    choice = knn(2, 8, 30).fit(planted_request("A1", "B1", "C1")).config["choice"]
    scores = {point["n_neighbours"]: point["pearson"] for point in choice["inner_curve"]}
    assert set(scores) == {2, 8, 30}
    assert choice["n_neighbours"] == max(scores, key=scores.__getitem__)


def test_a_large_query_is_searched_in_blocks_without_a_seam(planted_request, planted_section) -> None:
    fitted = knn(3).fit(planted_request("A1", "B1"))
    query = planted_section("C1", n_spots=1500).image
    whole = fitted.predict(query).values
    np.testing.assert_allclose(whole[1000:1100], fitted.predict(query.rows(np.arange(1000, 1100))).values, atol=1e-6)


def test_a_spot_at_the_training_mean_is_finite(planted_request, planted_section) -> None:
    request = planted_request("A1", "B1")
    fitted = knn(3).fit(request)
    query = planted_section("C1").image
    query.features["tiny"][0] = fitted.projection.mean  # type: ignore[index]
    assert np.isfinite(fitted.predict(query).values).all()


def test_a_section_of_the_bank_is_refused(planted_request, planted_section) -> None:
    fitted = knn(3).fit(planted_request("A1", "B1"))
    with pytest.raises(LeakageError, match=r"trained on this section.*section=toy/B1"):
        fitted.predict(planted_section("B1").image)
