"""What the models that readers are shown took to train, and how large they are.

Belongs here: between a training and the heads of its artefacts, and from heads to rows. Does not belong here: measuring
(``gr2st_core.training.cost``).

Seconds and memory differ from run to run while artefacts are equal for equal inputs, so they stand in the provenance,
and the catalogue's view is made of that. The report has none: it is an artefact too.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr2st_assets.lake import Lake
from gr2st_assets.manifest import Entry
from gr2st_assets.publish import write_atomic
from gr2st_assets.records import Slot
from gr2st_core.models.registry import METHODS

if TYPE_CHECKING:
    from gr2st_core.training.cost import Cost

NAME = "catalog/model_costs"
N_WEIGHTS = "n_weights"
_MODEL = "models/model_"
_KEPT = "cost.json"
_MEASURED = ("fit_seconds", "peak_memory_mb", "peak_gpu_memory_mb", "device", "is_resumed")


def cost_facts(cost: "Cost", *, is_resumed: bool) -> dict[str, float | int | str]:
    """What is kept of a training's cost in the provenance of its model; what was not measured is left out."""
    values = (cost.seconds, cost.peak_memory_mb, cost.peak_gpu_memory_mb, cost.device, is_resumed)
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in zip(_MEASURED, values, strict=True)
        if value is not None
    }


def keep_cost(folder: Path, cost: "Cost") -> None:
    """Leave a finished training's cost beside its checkpoints, for whoever finds these and need not train."""
    from upath import UPath

    write_atomic(UPath(folder / _KEPT), json.dumps(asdict(cost)).encode())


def kept_cost(folder: Path) -> "Cost | None":
    """Read what `keep_cost` left; None where no training was finished, or by a version that measured otherwise."""
    from gr2st_core.training.cost import Cost

    file = folder / _KEPT
    try:
        return Cost(**json.loads(file.read_bytes())) if file.is_file() else None
    except (TypeError, ValueError):
        return None


def cost_rows(lake: Lake, shown: Mapping[Slot, Entry]) -> list[dict[str, Any]]:
    """Rows of ``catalog/model_costs``, by slot: one a model that readers are shown and whose provenance is kept.

    A model that is shown while another is newer has none: provenance is that of the newest.
    """
    return list(_rows(lake, shown))


def _rows(lake: Lake, shown: Mapping[Slot, Entry]) -> Iterator[dict[str, Any]]:
    for slot, entry in sorted(shown.items()):
        spec = METHODS.get(slot.table.removeprefix(_MODEL)) if slot.table.startswith(_MODEL) else None
        head = None if spec is None else lake.head(slot)
        if spec is None or head is None or head.digest != entry.digest:
            continue
        facts, keys = head.provenance.metadata, dict(slot.keys)
        yield {
            "fold_id": f"{keys['cohort']}/{keys['fold']}",
            **{name: keys[name] for name in ("panel", "target")},
            "seed": int(keys["seed"]),
            "model_id": facts["model_id"],
            "method": spec.method,
            "profile": spec.profile,
            "setting": spec.setting,
            "n_parameters": facts[N_WEIGHTS],
            **{name: facts.get(name) for name in _MEASURED},
        }
