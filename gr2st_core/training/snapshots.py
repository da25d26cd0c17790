"""A network and its optimiser as named tensors, and back.

Belongs here: what a snapshot of a run holds where every step depends on both. Does not belong here: files
(``checkpoint``), the loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from gr2st_core.errors import CheckpointError


def snapshot_tensors(network: nn.Module, optimiser: torch.optim.Optimizer | None) -> dict[str, Tensor]:
    """Parameters, buffers and optimiser state, as ``network.<name>`` and ``optimiser.<parameter>.<name>``.

    Parameters
    ----------
    optimiser
        None where its state ends with the epoch.
    """
    moments = {} if optimiser is None else optimiser.state_dict()["state"]
    return {
        **{f"network.{name}": tensor for name, tensor in network.state_dict().items()},
        **{f"optimiser.{i}.{name}": tensor for i, state in moments.items() for name, tensor in state.items()},
    }


def restore_tensors(network: nn.Module, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Bring both to what `snapshot_tensors` returned.

    Raises
    ------
    CheckpointError
    """
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _part(tensors, "optimiser"):
        index, key = name.split(".")
        moments.setdefault(int(index), {})[key] = tensor
    try:
        network.load_state_dict(dict(_part(tensors, "network")))
    except RuntimeError as error:
        raise CheckpointError(f"a training snapshot does not fit the network: {error}") from error
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})


def _part(tensors: Mapping[str, Tensor], name: str) -> Iterator[tuple[str, Tensor]]:
    return ((key[len(name) + 1 :], tensor) for key, tensor in tensors.items() if key.startswith(f"{name}."))
