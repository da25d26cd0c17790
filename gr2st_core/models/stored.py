"""Reading a stored method back, strictly.

Belongs here: checks of a ``ModelState``'s config and arrays that every plain-array method needs. Does not belong here:
files (``training.checkpoint``), any method's own meaning of its arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import CheckpointError, Gr2stError
from gr2st_core.keys import TARGETS
from gr2st_core.predictor import FitRequest, ModelState
from gr2st_core.types import Panel, TrainSection


def describe(
    method: str, profile: str, features: Sequence[str], request: FitRequest, sections: Sequence[TrainSection]
) -> dict[str, Any]:
    """Config that every stored method has: what it is and what it was trained on, as JSON."""
    return {
        "method": method,
        "profile": profile,
        "features": list(features),
        "panel": {"name": request.panel.name, "genes": list(request.panel.genes)},
        "target": request.target,
        "sections": [{"section": str(s.key), "patient": s.patient_id} for s in sections],
    }


def read_panel(state: ModelState, method: str, profile: str, features: Sequence[str]) -> Panel:
    """Panel of a stored method, once its config is known to be that of this method.

    Raises
    ------
    CheckpointError
    """
    config = state.config
    expected = {"method": method, "profile": profile, "features": list(features)}
    for name, value in expected.items():
        if config.get(name) != value:
            raise CheckpointError("stored by another method", field=name, expected=value, found=config.get(name))
    if config.get("target") not in TARGETS:
        raise CheckpointError("unknown target", field="target", expected=TARGETS, found=config.get("target"))
    try:
        return Panel(config["panel"]["name"], tuple(config["panel"]["genes"]))
    except (KeyError, TypeError, Gr2stError) as error:
        raise CheckpointError("the stored panel cannot be read", field="panel", found=repr(error)) from error


def read_arrays(
    part: str, arrays: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int | None, ...]]
) -> dict[str, NDArray[Any]]:
    """Exactly the named arrays, each finite and of its shape (None: any length).

    Raises
    ------
    CheckpointError
        An array is missing, unknown, not float32, of another shape, or not finite.
    """
    if set(arrays) != set(shapes):
        raise CheckpointError(f"arrays of {part} differ", expected=sorted(shapes), found=sorted(arrays))
    for name, shape in shapes.items():
        array = arrays[name]
        if array.dtype != np.float32 or not _fits(array.shape, shape):
            found = (array.shape, str(array.dtype))
            raise CheckpointError(f"an array of {part} does not fit", field=name, expected=shape, found=found)
        if not np.isfinite(array).all():
            raise CheckpointError(f"an array of {part} is not finite", field=name)
    return dict(arrays)


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    pairs = zip(shape, expected, strict=False)
    return len(shape) == len(expected) and all(want in (None, have) for have, want in pairs)


def read_choice(state: ModelState, name: str) -> int:
    """Read a positive whole number that was chosen inside training.

    Raises
    ------
    CheckpointError
    """
    choice = state.config.get("choice")
    value = choice.get(name) if isinstance(choice, Mapping) else None
    if not isinstance(value, int) or value < 1:
        raise CheckpointError("a choice made in training is missing", field=name, found=value)
    return value
