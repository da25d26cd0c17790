"""Retrieval as published: chosen by cosine, weighted by L1 distance."""

import numpy as np
import pytest
import torch

from gr2st_core.models.gr2st_published.retrieval import retrieve
from gr2st_core.retrieval.bank import ReferenceBank

FLOOR = 1e-8


@pytest.fixture
def bank() -> ReferenceBank:
    rng = np.random.default_rng(0)
    embeddings, expression = rng.normal(size=(30, 6)).astype("float32"), rng.random((30, 4)).astype("float32")
    ids = np.array([f"s{k}" for k in range(30)])
    return ReferenceBank(embeddings, expression, np.repeat(["toy/A1"], 30), ids)


@pytest.fixture
def queries() -> torch.Tensor:
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(1))


def test_neighbours_are_the_nearest_by_cosine_and_weigh_by_inverse_squared_l1_distance(bank, queries):
    found = retrieve(bank, queries, top_k=7, distance_floor=FLOOR)
    for row, query in enumerate(queries.numpy().astype(float)):
        keys = bank.embeddings.astype(float)
        cosine = keys @ query / np.linalg.norm(keys, axis=1) / np.linalg.norm(query)
        index = np.argsort(-cosine)[:7]
        weights = 1 / np.abs(keys[index] - query).sum(1) ** 2
        weights /= weights.sum()
        assert found.index[row].tolist() == index.tolist()
        assert np.allclose(found.weights[row], weights, rtol=1e-5)
        assert np.allclose(found.expression[row], weights @ bank.expression[index], rtol=1e-5)
        assert (found.expression[row] >= bank.expression[index].min(0) - 1e-6).all()
        assert (found.expression[row] <= bank.expression[index].max(0) + 1e-6).all()
    assert np.allclose(found.weights.sum(1), 1)


def test_one_neighbour_is_returned_and_more_than_the_bank_are_the_bank(bank, queries):
    one = retrieve(bank, queries, top_k=1, distance_floor=FLOOR)
    assert np.array_equal(one.expression, bank.expression[one.index[:, 0]])
    everyone = retrieve(bank, queries, top_k=999, distance_floor=FLOOR)
    assert everyone.index.shape == (5, 30)
    flat = retrieve(bank, queries, top_k=999, distance_floor=1e12)
    assert np.allclose(flat.expression, bank.expression.mean(0), atol=1e-5)


def test_an_exact_match_is_finite_and_takes_the_weight(bank):
    found = retrieve(bank, torch.from_numpy(bank.embeddings[3:4]), top_k=5, distance_floor=FLOOR)
    assert np.isfinite(found.expression).all()
    assert np.allclose(found.expression[0], bank.expression[3], atol=1e-4)


def test_the_order_of_the_bank_does_not_matter(bank, queries):
    order = np.random.default_rng(1).permutation(30)
    shuffled = ReferenceBank(
        bank.embeddings[order], bank.expression[order], bank.section_keys[order], bank.spot_ids[order]
    )
    one, other = (retrieve(b, queries, top_k=9, distance_floor=FLOOR).expression for b in (bank, shuffled))
    assert np.allclose(one, other, atol=1e-6)
