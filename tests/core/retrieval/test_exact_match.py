"""A query that equals a reference spot is answered with finite numbers."""

import numpy as np
import torch

from gr2st_core.retrieval.bank import ReferenceBank


def test_an_exact_match_is_finite_and_weighs_most():
    rng = np.random.default_rng(0)
    ids = np.array([f"s{k}" for k in range(30)])
    expression = rng.random((30, 4)).astype(np.float32)
    bank = ReferenceBank(rng.normal(size=(30, 6)).astype(np.float32), expression, np.repeat(["toy/A1"], 30), ids)
    found = bank.search(torch.from_numpy(bank.embeddings[3:4]), top_k=5, temperature=0.1)
    assert np.isfinite(found.expression).all()
    assert found.index[0, 0] == 3
    assert found.weights[0].argmax() == 0
