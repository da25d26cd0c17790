"""From stored arrays back to a trained GR2ST.

Belongs here: every check that a stored model is whole and fits. Does not belong here: files
(``gr2st_core.training.checkpoint``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError
from torch import nn

from gr2st_core.errors import CheckpointError, Gr2stError
from gr2st_core.keys import TARGETS
from gr2st_core.models.blocks import Block
from gr2st_core.models.gr2st.fitted import FittedGr2st
from gr2st_core.models.gr2st.mixing import Mix, mixes
from gr2st_core.models.gr2st.network import build_network
from gr2st_core.models.gr2st.scaling import BlockScaler
from gr2st_core.models.gr2st.units import GeneUnits
from gr2st_core.predictor import ModelState
from gr2st_core.retrieval.bank import ReferenceBank
from gr2st_core.settings import Gr2stSettings
from gr2st_core.types import Panel

Arrays = Mapping[str, NDArray[Any]]
SomeSettings = TypeVar("SomeSettings", bound=BaseModel)


def restore(state: ModelState, blocks: tuple[Block, ...], device: torch.device) -> FittedGr2st:
    """Rebuild a trained model; its predictions are those of the model that was stored.

    Raises
    ------
    CheckpointError
        A name, shape, type or number in the state is not what the config says.
    """
    settings, panel = read_config(state.config, Gr2stSettings)
    require_finite(state)
    scaler = _read_scaler(part_of(state.weights, "scaler"), blocks)
    mix = _read_mix(state.config, settings)
    units = _read_units(part_of(state.weights, "units"), len(panel))
    with torch.device("meta"):  # shapes only: nothing is drawn or allocated before the stored values arrive
        directions = torch.empty(len(panel), min(settings.head_rank, len(panel)))
        network = build_network(settings, d_features=scaler.d_features, directions=directions)
    load_into(network, part_of(state.weights, "network"))
    bank = read_bank(state.bank, settings.d_embedding, len(panel))
    require_known(state, network, {"scaler": scaler.to_arrays(), "units": units.to_arrays()})
    target = state.config["target"]
    return FittedGr2st(
        network.to(device).eval(), scaler, units, bank, mix, settings, panel, target, state.config, state.history
    )


def require_kind(state: ModelState, method: str, profile: str, features: Sequence[str]) -> None:
    """Refuse a model of another method, profile or features.

    Raises
    ------
    CheckpointError
    """
    for name, own in (("method", method), ("profile", profile), ("features", list(features))):
        if state.config.get(name) != own:
            raise CheckpointError("a model of another kind", field=name, expected=own, found=state.config.get(name))


def read_config(config: Mapping[str, Any], kind: type[SomeSettings]) -> tuple[SomeSettings, Panel]:
    """Settings of the given kind and panel of a stored config; target and features are checked too.

    Raises
    ------
    CheckpointError
    """
    try:
        settings = kind.model_validate(config["settings"])
        panel = Panel(config["panel"]["name"], tuple(config["panel"]["genes"]))
        known = config["target"] in TARGETS and all(isinstance(name, str) for name in config["features"])
    except (KeyError, TypeError, ValidationError, Gr2stError) as error:
        raise CheckpointError(f"a stored config is incomplete: {error}") from error
    if not known:
        raise CheckpointError("a stored config names target and features", found=config["target"], expected=TARGETS)
    return settings, panel


def _read_mix(config: Mapping[str, Any], settings: Gr2stSettings) -> Mix:
    """Share of retrieval and number of neighbours of a stored model, which are among its candidates.

    Raises
    ------
    CheckpointError
    """
    choice = config.get("choice")
    found = choice if isinstance(choice, Mapping) else {}
    mix = next((mix for mix in mixes(settings) if mix.as_config() == dict(found)), None)
    if mix is None:
        raise CheckpointError("a choice made in training is missing", field="choice", found=choice)
    return mix


def _read_scaler(arrays: Arrays, blocks: tuple[Block, ...]) -> BlockScaler:
    vectors = {"centre", "scale", "weights"}
    if missing := sorted((vectors | {"components"}) - set(arrays)):
        raise CheckpointError("arrays are missing", expected=[f"scaler.{name}" for name in missing])
    width = arrays["centre"].shape[:1]
    for name in vectors:
        require_array(f"scaler.{name}", arrays[name], np.float32, width)
    components = arrays["components"]
    require_array("scaler.components", components, np.float16, (*width, *components.shape[1:2]))
    return BlockScaler.from_arrays(blocks, arrays)


def _read_units(arrays: Arrays, n_genes: int) -> GeneUnits:
    if missing := sorted({"mean", "spread"} - set(arrays)):
        raise CheckpointError("arrays are missing", expected=[f"units.{name}" for name in missing])
    for name in ("mean", "spread"):
        require_array(f"units.{name}", arrays[name], np.float32, (n_genes,))
    return GeneUnits.from_arrays(arrays)


def read_bank(arrays: Arrays, d_embedding: int, n_genes: int) -> ReferenceBank:
    """Bank of a stored model, float16.

    Raises
    ------
    CheckpointError
    """
    bank = ReferenceBank.from_arrays(arrays)
    require_array("bank/embeddings", bank.embeddings, np.float16, (len(bank.embeddings), d_embedding))
    require_array("bank/expression", bank.expression, np.float16, (len(bank.expression), n_genes))
    return bank


def load_into(network: nn.Module, arrays: Arrays) -> None:
    """Give a network without values (on the meta device) the stored ones.

    Raises
    ------
    CheckpointError
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    if missing := sorted(set(shapes) - set(arrays)):
        raise CheckpointError("arrays are missing", expected=missing)
    for name, shape in shapes.items():
        require_array(f"network.{name}", arrays[name], np.float16 if len(shape) > 1 else np.float32, shape)
    values = {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in shapes}
    network.load_state_dict(values, assign=True)


def part_of(arrays: Arrays, part: str) -> dict[str, NDArray[Any]]:
    """Arrays named ``<part>.<name>``, by name."""
    return {name[len(part) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{part}.")}


def require_finite(state: ModelState) -> None:
    """Refuse NaN and infinity in weights and bank.

    Raises
    ------
    CheckpointError
    """
    for name, array in {**state.weights, **state.bank}.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError("stored arrays are finite", array=name)


def require_known(state: ModelState, network: nn.Module, parts: Mapping[str, Arrays]) -> None:
    """Refuse weights that neither the network nor another part has.

    Raises
    ------
    CheckpointError
    """
    known = {f"network.{n}" for n in network.state_dict()}
    known |= {f"{part}.{name}" for part, arrays in parts.items() for name in arrays}
    if unknown := set(state.weights) - known:
        raise CheckpointError("arrays that this model does not have", found=sorted(unknown))


def require_array(name: str, array: NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    """Refuse an array of another type or shape.

    Raises
    ------
    CheckpointError
    """
    if array.dtype != dtype or array.shape != shape:
        raise CheckpointError(
            "a stored array does not fit the model",
            array=name,
            expected=(np.dtype(dtype).name, shape),
            found=(array.dtype.name, array.shape),
        )
