"""From stored arrays back to a trained published state.

Belongs here: what is particular to R1 and R2 in it. Does not belong here: the checks that they share with ``ours``
(``gr2st.stored``), files (``gr2st_core.training.checkpoint``).
"""

from __future__ import annotations

import numpy as np
import torch

from gr2st_core.errors import CheckpointError
from gr2st_core.models.gr2st.stored import (
    Arrays,
    load_into,
    part_of,
    read_bank,
    read_config,
    require_array,
    require_finite,
    require_known,
)
from gr2st_core.models.gr2st_published.fitted import FittedPublished
from gr2st_core.models.gr2st_published.network import build_network
from gr2st_core.models.gr2st_published.scaling import FeatureScaler
from gr2st_core.predictor import ModelState
from gr2st_core.settings import Gr2stR1Settings, Gr2stR2Settings


def restore(
    state: ModelState, kind: type[Gr2stR1Settings] | type[Gr2stR2Settings], device: torch.device
) -> FittedPublished:
    """Rebuild a trained model; its predictions are those of the model that was stored.

    Raises
    ------
    CheckpointError
        A name, shape, type or number in the state is not what the config says.
    """
    settings, panel = read_config(state.config, kind)
    require_finite(state)
    scaler = _read_scaler(part_of(state.weights, "scaler"), tuple(state.config["features"]))
    with torch.device("meta"):  # shapes only: nothing is drawn or allocated before the stored values arrive
        network = build_network(settings, d_features=scaler.d_features, n_genes=len(panel))
    load_into(network, part_of(state.weights, "network"))
    bank = read_bank(state.bank, settings.d_embedding, len(panel))
    require_known(state, network, {"scaler": scaler.to_arrays()})
    target = state.config["target"]
    return FittedPublished(
        network.to(device).eval(), scaler, bank, settings, panel, target, state.config, state.history
    )


def _read_scaler(arrays: Arrays, names: tuple[str, ...]) -> FeatureScaler:
    if not {"mean", "spread"} <= set(arrays):
        raise CheckpointError("arrays are missing", expected=["scaler.mean", "scaler.spread"], found=sorted(arrays))
    width = arrays["mean"].shape[:1]
    require_array("scaler.mean", arrays["mean"], np.float32, width)
    require_array("scaler.spread", arrays["spread"], np.float32, width)
    return FeatureScaler.from_arrays(names, arrays)
