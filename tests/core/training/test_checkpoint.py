"""Stored models: equal bytes, strict reading."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gr2st_core.errors import CheckpointError
from gr2st_core.predictor import ModelState
from gr2st_core.training.checkpoint import load_snapshot, load_state, save_snapshot, save_state, state_digest


@pytest.fixture
def state() -> ModelState:
    rng = np.random.default_rng(0)
    return ModelState(
        weights={
            "b": rng.normal(size=(3, 4)).astype(np.float16),
            "a": np.float32(rng.normal(size=5)),
            "scale": np.array(2.5),
        },
        config={"method": "toy", "panel": {"genes": ["G1", "G2"]}, "curve": [0.1, None]},
        bank={"ids": np.frombuffer(b"x\ny", dtype=np.uint8)},
        history=pd.DataFrame({"stage": ["inner"], "epoch": [1], "term": ["mse"], "value": [0.5]}),
    )


def test_a_stored_model_comes_back_equal(state, tmp_path):
    save_state(state, tmp_path)
    back = load_state(tmp_path)
    assert back.config == state.config
    assert state_digest(back) == state_digest(state)
    for name, array in state.weights.items():
        assert back.weights[name].dtype == array.dtype
        assert np.array_equal(back.weights[name], array)
    pd.testing.assert_frame_equal(back.history, state.history)


def test_equal_states_give_equal_bytes_in_any_order_of_names(state, tmp_path):
    turned = replace(state, weights=dict(reversed(state.weights.items())), config=dict(reversed(state.config.items())))
    save_state(state, tmp_path / "one")
    save_state(turned, tmp_path / "two")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["bank.safetensors", "history.parquet", "model.json", "model.safetensors"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_digest_sees_every_part_but_the_history(state):
    others = [
        replace(state, config={**state.config, "method": "other"}),
        replace(state, weights={**state.weights, "a": state.weights["a"] + 1}),
        replace(state, weights={**state.weights, "a": state.weights["a"].reshape(5, 1)}),
        replace(state, bank={}),
    ]
    assert len({state_digest(s) for s in [state, *others]}) == 5
    assert state_digest(replace(state, history=pd.DataFrame())) == state_digest(state)


def test_a_model_without_bank_and_history_is_stored_without_a_bank_file(state, tmp_path):
    save_state(replace(state, bank={}, history=pd.DataFrame()), tmp_path)
    assert not (tmp_path / "bank.safetensors").exists()
    assert load_state(tmp_path).bank == {}


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "bank.safetensors", "history.parquet"])
def test_a_missing_or_truncated_file_is_named(state, tmp_path, name):
    save_state(state, tmp_path)
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(CheckpointError) as cut:
        load_state(tmp_path)
    file.unlink()
    with pytest.raises(CheckpointError) as gone:
        load_state(tmp_path)
    assert cut.value.context["file"] == gone.value.context["file"] == file


def test_one_changed_byte_is_found_by_the_digest(state, tmp_path):
    save_state(state, tmp_path)
    file = tmp_path / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="differs from its digest"):
        load_state(tmp_path)


def test_a_description_of_another_format_is_refused(state, tmp_path):
    save_state(state, tmp_path)
    described = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**described, "format": 99}))
    with pytest.raises(CheckpointError, match="not a model description"):
        load_state(tmp_path)


def test_a_config_that_is_not_finite_json_is_refused(state, tmp_path):
    for value in (float("nan"), Path("x"), {1, 2}):
        with pytest.raises(CheckpointError, match="plain, finite JSON"):
            save_state(replace(state, config={"value": value}), tmp_path)


def test_a_snapshot_comes_back_and_a_damaged_one_is_named(tmp_path):
    file = tmp_path / "run" / "inner.safetensors"
    save_snapshot({"w": torch.arange(4.0)}, {"epoch": 3, "best": [1, float("-inf")]}, file)
    tensors, facts = load_snapshot(file)
    assert torch.equal(tensors["w"], torch.arange(4.0))
    assert facts == {"epoch": 3, "best": [1, float("-inf")]}
    assert [path.name for path in file.parent.iterdir()] == ["inner.safetensors"]
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(CheckpointError) as caught:
        load_snapshot(file)
    assert caught.value.context["file"] == file
