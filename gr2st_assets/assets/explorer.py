"""Group ``serving``, on demand: the page to look at a section with.

Belongs here: the explorer's page as an asset, linked from its metadata. Does not belong here: what is on the page
(``gr2st_assets.explorer``).

No stage of ``gr2st materialize`` has it: pages of whole cohorts are large and read by few. The UI makes those that
are asked for, and ``gr2st explore`` writes the same bytes to a file.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from gr2st_assets.explorer.chosen import Chosen, Shown, choose, inputs
from gr2st_assets.kinds import Blueprint, ProgressOf, asset_arguments, partitioned_asset
from gr2st_assets.lake import Lake
from gr2st_assets.models import method_spec
from gr2st_assets.partitions import SECTIONS
from gr2st_assets.resources import Experiment
from gr2st_assets.selection import EXPLORER, SERVED
from gr2st_assets.slots import section_slot
from gr2st_assets.steps import Plan, Product
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    from gr2st_core.settings import Settings

FILE = "explorer.html"
_READ = (
    "raw/slides", "raw/spots", "graphs/spatial_graph", SERVED, "serving/champion", "serving/calibration",
    "serving/spot_drift",
)  # fmt: skip
_ARGUMENTS = asset_arguments(
    EXPLORER, code=("gr2st_assets.explorer",), checks=(), kinds={"html"}, pool=None,
    doc="A page to look at a section with: slide, observed, predicted, error and uncertainty, spot by spot. "
    "Made when asked for; `gr2st explore` writes the same file.",
)  # fmt: skip


def _open_plans(
    store: Lake,
    experiment: Experiment,  # noqa: ARG001 - every blueprint is opened alike
    settings: "Settings",  # noqa: ARG001 - a trained model has settings of its own
    progress: ProgressOf,  # noqa: ARG001 - a page takes seconds
) -> Callable[[str], Plan]:
    shown = Shown.of(store)

    def plan(text: str) -> Plan:
        key = SectionKey.parse(text)
        chosen = choose(store, shown, key)
        compute = partial(_product, store, shown, chosen)
        return Plan(section_slot(store, EXPLORER, key), inputs(store, shown, chosen), compute)

    return plan


def _product(store: Lake, shown: Shown, chosen: Chosen) -> Product:
    import pandas as pd

    from gr2st_assets.explorer.gather import gather
    from gr2st_assets.explorer.page import write_page

    view = gather(store, shown, chosen)
    page, spec = write_page(view), method_spec(chosen.name)
    row = {
        "cohort": chosen.key.cohort,
        "section_id": chosen.key.section_id,
        "fold_id": chosen.fold_id,
        "panel": chosen.variant.panel,
        "target": chosen.variant.target,
        "seed": chosen.variant.seed,
        "method": spec.method,
        "profile": spec.profile,
        "model_id": view.model_id,
        "n_spots": len(view.spots.ids),
        "n_genes": len(view.expression.genes),
        "file": FILE,
        "sha256": hashlib.sha256(page).hexdigest(),
    }

    def write(folder: Path) -> None:
        (folder / FILE).write_bytes(page)

    return Product(
        pd.DataFrame([row]),
        {"method": chosen.name, "fold_id": chosen.fold_id, "n_bytes": len(page)},
        write_files=write,
    )


explorer = partitioned_asset(
    Blueprint(EXPLORER, SECTIONS.name, _ARGUMENTS["code_version"], (), None, _open_plans),
    _ARGUMENTS,
    SECTIONS,
    [dg.AssetKey(name.split("/")) for name in _READ],
)
