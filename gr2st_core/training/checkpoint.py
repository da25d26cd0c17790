"""Trained models and half-done training runs as files.

Belongs here: ``ModelState`` to a folder and back, its content digest, and snapshots of a run. Does not belong here:
what the arrays mean (each method's ``load``), generations and manifests (``gr2st_assets``).

A model is ``model.safetensors`` (weights), ``bank.safetensors`` (only with a bank), ``history.parquet`` and
``model.json`` (config, digest). Equal states give equal bytes. Nothing here can run code when it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_tensors

from gr2st_core.errors import CheckpointError
from gr2st_core.predictor import ModelState

Arrays = Mapping[str, NDArray[Any]]

_FORMAT = 1


def state_digest(state: ModelState) -> str:
    """SHA-256 of what the model predicts with: config, weights and bank, not the history of its training."""
    digest = hashlib.sha256(_canonical(state.config).encode())
    for part, arrays in (("weights", state.weights), ("bank", state.bank)):
        for name in sorted(arrays):
            array = np.asarray(arrays[name], order="C")
            digest.update(f"\n{part}/{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


def save_state(state: ModelState, folder: Path) -> None:
    """Write a model into ``folder``, which is made if needed.

    Raises
    ------
    CheckpointError
        The config is not plain JSON or holds a number that is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    described = {"format": _FORMAT, "digest": state_digest(state), "config": state.config, "has_bank": bool(state.bank)}
    _save_arrays(state.weights, folder / "model.safetensors")
    if state.bank:
        _save_arrays(state.bank, folder / "bank.safetensors")
    state.history.to_parquet(folder / "history.parquet", index=False)
    (folder / "model.json").write_text(_canonical(described, indent=1) + "\n", encoding="utf-8")


def load_state(folder: Path) -> ModelState:
    """Read a model written by `save_state`.

    Raises
    ------
    CheckpointError
        A file is missing, damaged, or from another model than its neighbours.
    """
    described = _read_description(folder / "model.json")
    state = ModelState(
        weights=_load_arrays(folder / "model.safetensors"),
        config=described["config"],
        bank=_load_arrays(folder / "bank.safetensors") if described["has_bank"] else {},
        history=_read_history(folder / "history.parquet"),
    )
    if (found := state_digest(state)) != described["digest"]:
        raise CheckpointError(
            "a stored model's content differs from its digest", file=folder, expected=described["digest"], found=found
        )
    return state


def save_snapshot(tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], file: Path) -> None:
    """Write one epoch's tensors and JSON facts as one file, in full or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    save_tensors(
        {name: tensor.contiguous() for name, tensor in tensors.items()}, unfinished, {"facts": json.dumps(facts)}
    )
    unfinished.replace(file)


def load_snapshot(file: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read a snapshot.

    Raises
    ------
    CheckpointError
    """
    try:
        with safe_open(file, framework="pt") as stored:
            facts: dict[str, Any] = json.loads(stored.metadata()["facts"])
            return {name: stored.get_tensor(name) for name in stored.keys()}, facts  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            "a training snapshot cannot be read", file=file, hint="delete it to start over"
        ) from error


def _canonical(content: Mapping[str, Any], indent: int | None = None) -> str:
    try:
        return json.dumps(content, sort_keys=True, allow_nan=False, indent=indent)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"a model's config is plain, finite JSON: {error}") from error


def _save_arrays(arrays: Arrays, file: Path) -> None:
    save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, file)


def _load_arrays(file: Path) -> dict[str, NDArray[Any]]:
    try:
        return dict(load_file(file))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"stored arrays cannot be read: {error}", file=file) from error


def _read_description(file: Path) -> dict[str, Any]:
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"a model's description cannot be read: {error}", file=file) from error
    expected = {"format", "digest", "config", "has_bank"}
    if not isinstance(described, dict) or set(described) != expected or described["format"] != _FORMAT:
        raise CheckpointError(
            "not a model description of this format", file=file, expected=[_FORMAT, *sorted(expected)]
        )
    return described


def _read_history(file: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(file)
    except (OSError, ValueError) as error:  # pyarrow's own errors derive from these
        raise CheckpointError(f"a model's history cannot be read: {error}", file=file) from error
