"""Group ``folds``: who trains and who is tested, as data.

Belongs here: the fold table, and the registration of fold partitions. Does not belong here: the rules
(``gr2st_core.training.folds``).
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from gr2st_assets import register
from gr2st_assets.checks import domain
from gr2st_assets.features import FOLD_TABLE_CONDITION
from gr2st_assets.kinds import asset_arguments
from gr2st_assets.lake import Lake
from gr2st_assets.partitions import ALL_SECTIONS, FOLDS, set_keys
from gr2st_assets.resolution import blind_encoders, coarsest_um_per_px
from gr2st_assets.resources import LakeResource
from gr2st_assets.sections import read_rows
from gr2st_assets.slots import section_slot
from gr2st_assets.steps import Plan, Product, Recipe, run_step
from gr2st_assets.tables import table_spec
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    from gr2st_core.training.folds import Fold, SectionFact

NAME = "folds/fold_table"
TABLES = ("raw/slides", "raw/spots")
CHECKS = ("no_leakage",)
_ARGUMENTS = asset_arguments(
    NAME, code=("gr2st_core.training.folds",), checks=CHECKS, kinds={"python"}, pool=None,
    doc="Role of every section in every fold: train, counts_only, test. Building a fold that leaks is impossible.",
)  # fmt: skip


@dg.asset(
    **_ARGUMENTS,
    deps=[dg.AssetDep(dg.AssetKey(t.split("/")), partition_mapping=ALL_SECTIONS) for t in TABLES],
    automation_condition=FOLD_TABLE_CONDITION,
)
def fold_table(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
    """Make the fold table from the registered sections that are in the lake, and register its folds."""
    store = lake.open()
    keys = [key for name in register.names(store) for key in register.section_keys(store, name)]
    present = [key for key in keys if all(store.head(section_slot(store, t, key)) for t in TABLES)]
    inputs = section_inputs(store, present)
    synthetic = [name for name in register.names(store) if register.is_synthetic(store, name)]

    def plan() -> Plan:
        marks = {**inputs, "synthetic": ",".join(synthetic), "coarsest_um_per_px": f"{coarsest_um_per_px():.6g}"}
        return Plan(store.slot(NAME), marks, lambda: _product(_folds(store, present, synthetic)))

    recipe = Recipe(table_spec(NAME), _ARGUMENTS["code_version"], "", ("contract", *CHECKS))
    yield from run_step(context, store, recipe, iter([(None, plan)]))
    _register(context.instance, store)


def section_inputs(store: Lake, keys: Iterable[SectionKey]) -> dict[str, str]:
    """Digests of what the fold table reads of sections, by ``table:section``, as its provenance names them.

    Raises
    ------
    MissingArtifactError
        A table of a section was not made.
    """
    return {f"{t}:{key}": store.require_head(section_slot(store, t, key)).digest for key in keys for t in TABLES}


def _folds(store: Lake, present: list[Any], synthetic: list[str]) -> "list[Fold]":
    """Folds of all real cohorts together, and of each synthetic one by itself."""
    from gr2st_core.training.folds import make_folds

    facts = [_fact(store, key) for key in present]
    real = [fact for fact in facts if fact.key.cohort not in synthetic]
    alone = [[fact for fact in facts if fact.key.cohort == name] for name in synthetic]
    return [fold for group in (real, *alone) if group for fold in make_folds(group)]


def _fact(store: Lake, key: Any) -> "SectionFact":
    """What folds are made from; an image too coarse for any encoder that a method reads counts as none."""
    from gr2st_core.training.folds import SectionFact

    slide = read_rows(store, "raw/slides", key).to_pylist()[0]
    spots = read_rows(store, "raw/spots", key)
    has_image = slide["image_path"] is not None and not blind_encoders(slide["um_per_px"])
    return SectionFact(key, slide["patient_id"], has_image, any(spots["has_counts"].to_pylist()))


def _product(folds: "list[Fold]") -> Product:
    import pandas as pd

    rows = [
        {
            "fold_id": fold.fold_id,
            "split_unit": fold.split_unit,
            "cohort": key.cohort,
            "section_id": key.section_id,
            "patient_id": fold.patients[key],
            "role": role,
            "patient_in_training": fold.patient_in_training(key) if role == "test" else None,
        }
        for fold in folds
        for role in ("train", "counts_only", "test")
        for key in getattr(fold, role)
    ]
    table = pd.DataFrame(rows, columns=table_spec(NAME).column_names)
    table["patient_in_training"] = table["patient_in_training"].astype("boolean")
    return Product(table, {"n_folds": len(folds)}, findings=[domain.no_leakage(table)])


def _register(instance: dg.DagsterInstance, store: Lake) -> None:
    """Make the fold partitions equal to the fold table's."""
    fold_ids = store.read_table(store.slot(NAME), ["fold_id"])["fold_id"].to_pylist()
    set_keys(instance, FOLDS, list(dict.fromkeys(fold_ids)))
