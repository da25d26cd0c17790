"""Retrieval against answers that can be worked out by hand."""

import numpy as np
import pytest
import torch

from gr2st_core.errors import AlignmentError, CheckpointError, LeakageError
from gr2st_core.keys import SectionKey
from gr2st_core.retrieval import bank as bank_module
from gr2st_core.retrieval.bank import ReferenceBank


def _bank(n: int = 60, d: int = 8, genes: int = 5, seed: int = 0) -> ReferenceBank:
    rng = np.random.default_rng(seed)
    return ReferenceBank(
        embeddings=rng.normal(size=(n, d)).astype(np.float32),
        expression=rng.gamma(2.0, size=(n, genes)).astype(np.float32),
        section_keys=np.array([f"toy/S{i % 3}" for i in range(n)]),
        spot_ids=np.array([f"{i}x{i}" for i in range(n)]),
    )


def _queries(n: int = 11, d: int = 8) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(5))


def test_weights_sum_to_one_and_predictions_lie_within_their_neighbours():
    bank = _bank()
    found = bank.search(_queries(), top_k=7, temperature=0.1)
    values = bank.expression[found.index]
    assert np.allclose(found.weights.sum(1), 1, atol=1e-6)
    assert (found.weights >= 0).all()
    assert (found.expression >= values.min(1) - 1e-6).all()
    assert (found.expression <= values.max(1) + 1e-6).all()


def test_one_neighbour_is_returned_as_it_is():
    bank = _bank()
    found = bank.search(_queries(), top_k=1, temperature=0.1)
    assert np.array_equal(found.expression, bank.expression[found.index[:, 0]])


def test_the_whole_pool_with_equal_weights_gives_the_pool_mean_and_larger_k_clamps():
    bank = _bank()
    found = bank.search(_queries(), top_k=10_000, temperature=1e9)
    assert found.index.shape == (11, 60)
    assert np.allclose(found.expression, bank.expression.mean(0), atol=1e-5)


def test_neighbours_are_the_most_similar_by_cosine_whatever_the_block_size(monkeypatch):
    bank, queries = _bank(), _queries()
    unit = bank.embeddings / np.linalg.norm(bank.embeddings, axis=1, keepdims=True)
    cosine = queries.numpy() @ unit.T
    whole = bank.search(queries, top_k=4, temperature=0.1)
    assert np.array_equal(whole.index, np.argsort(-cosine, axis=1)[:, :4])
    monkeypatch.setattr(bank_module, "_BLOCK", 1)
    single = bank.search(queries, top_k=4, temperature=0.1)
    assert np.array_equal(single.index, whole.index)
    assert np.allclose(single.expression, whole.expression, atol=1e-6)


def test_the_order_of_the_pool_does_not_matter():
    bank, order = _bank(), np.random.default_rng(1).permutation(60)
    mixed = ReferenceBank(
        *(array[order] for array in (bank.embeddings, bank.expression, bank.section_keys, bank.spot_ids))
    )
    first, second = (b.search(_queries(), top_k=9, temperature=0.1) for b in (bank, mixed))
    assert np.allclose(first.expression, second.expression, atol=1e-6)
    assert np.array_equal(bank.spot_ids[first.index], mixed.spot_ids[second.index])


def test_a_single_query_spot_keeps_its_row():
    assert _bank().search(_queries(1), top_k=3, temperature=0.1).expression.shape == (1, 5)


def test_a_query_section_in_the_bank_is_refused_by_name():
    _bank().refuse([SectionKey("toy", "S7"), SectionKey("other", "S1")])
    with pytest.raises(LeakageError) as caught:
        _bank().refuse([SectionKey("toy", "S1")])
    assert caught.value.context["section"] == ["toy/S1"]


def test_arrays_of_different_length_are_refused():
    bank = _bank()
    with pytest.raises(AlignmentError) as caught:
        ReferenceBank(bank.embeddings, bank.expression, bank.section_keys[:-1], bank.spot_ids)
    assert caught.value.context["found"] == [60, 60, 59, 60]


def test_stored_arrays_give_the_same_bank_and_damaged_ones_are_refused():
    bank = _bank()
    arrays = bank.to_arrays()
    restored = ReferenceBank.from_arrays(arrays)
    assert np.array_equal(restored.spot_ids, bank.spot_ids)
    assert np.array_equal(restored.section_keys, bank.section_keys)
    with pytest.raises(CheckpointError, match="reference bank"):
        ReferenceBank.from_arrays({**arrays, "spot_ids": arrays["spot_ids"][:-9]})
    with pytest.raises(CheckpointError) as caught:
        ReferenceBank.from_arrays({"embeddings": bank.embeddings})
    assert caught.value.context["found"] == ["embeddings"]


def test_several_numbers_of_neighbours_give_what_each_gives_alone():
    bank = _bank()
    for k, found in zip((9, 3, 100), bank.search_each(_queries(), top_ks=(9, 3, 100), temperature=0.1), strict=True):
        alone = bank.search(_queries(), top_k=k, temperature=0.1)
        assert np.array_equal(found.index, alone.index)
        assert np.allclose(found.expression, alone.expression, atol=1e-6)
        assert np.allclose(found.weights, alone.weights, atol=1e-6)


def test_small_and_large_banks_average_alike():
    rng = np.random.default_rng(0)
    keys, values = rng.normal(size=(400, 8)).astype(np.float16), rng.normal(size=(400, 5)).astype(np.float16)
    bank = ReferenceBank(keys, values, np.repeat("c/s", 400), np.array([f"s{n}" for n in range(400)]))
    queries = torch.from_numpy(rng.normal(size=(7, 8)).astype(np.float32))
    few, many = (bank.search(queries, top_k=k, temperature=0.1) for k in (5, 40))
    for found in (few, many):
        expected = np.einsum("qk,qkg->qg", found.weights, values.astype(np.float32)[found.index])
        np.testing.assert_allclose(found.expression, expected, atol=1e-5)
