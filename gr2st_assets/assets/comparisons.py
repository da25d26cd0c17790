"""Group ``evaluation``, third part: differences between methods with their intervals.

Belongs here: bringing the predictions of complete fold sets to the bootstrap. Does not belong here: the bootstrap
(``gr2st_core.evaluation``), scores of single methods (``evaluation``, ``scoreboard``).

A set of which nothing changed keeps its rows, so a run that adds one target, seed or cohort compares that one alone.
"""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from gr2st_assets import pictures
from gr2st_assets.assets.evaluation import PREDICTIONS
from gr2st_assets.checks import domain
from gr2st_assets.fingerprint import fingerprint
from gr2st_assets.fold_sets import OBSERVED, FoldSet, fold_sets
from gr2st_assets.kinds import asset_arguments
from gr2st_assets.lake import Lake
from gr2st_assets.partitions import ALL_SECTIONS
from gr2st_assets.readers import shown_next
from gr2st_assets.records import Slot
from gr2st_assets.resources import Experiment, LakeResource
from gr2st_assets.sections import read_folds
from gr2st_assets.slots import section_slot
from gr2st_assets.steps import Plan, Product, Recipe, run_step
from gr2st_assets.tables import arrow_schema, table_spec
from gr2st_core.models.registry import METHODS

if TYPE_CHECKING:
    import pandas as pd

    from gr2st_core.settings import EvaluationSettings

NAME = "evaluation/comparisons"
SCORES = "evaluation/section_scores"
GEOMETRY = ("raw/slides", "raw/spots")
CHECKS = ("comparisons_agree",)
SEED = 0
"""Of the draws: fixed, since nothing is trained here."""
MADE_FROM = "sets"
"""Fact of the stored table: pairs of a set's name and the fingerprint of its rows."""
_ARGUMENTS = asset_arguments(
    NAME, code=("gr2st_core.evaluation", "gr2st_assets.fold_sets", "gr2st_assets.matrices"), checks=CHECKS,
    kinds={"python"}, pool=None,
    doc="Every method against GR2ST and against ridge: paired hierarchical bootstrap over patients, sections, blocks "
    "of spots and genes, corrected after Holm.",
)  # fmt: skip


@dg.asset(
    **_ARGUMENTS,
    deps=[
        *(
            dg.AssetDep(dg.AssetKey(table.split("/")), partition_mapping=ALL_SECTIONS)
            for table in (*PREDICTIONS, OBSERVED, SCORES, *GEOMETRY)
        ),
        dg.AssetKey(["folds", "fold_table"]),
    ],
)
def comparisons(context: dg.AssetExecutionContext, lake: LakeResource, experiment: Experiment) -> Iterator[Any]:
    """Compare methods on the fold sets that are complete and of one generation."""
    store, settings = lake.open(), experiment.settings().evaluation
    folds = read_folds(store)
    shown = shown_next(store, *PREDICTIONS, OBSERVED, SCORES)
    sets = fold_sets(folds, {s: d for s, d in shown.items() if s.table != SCORES}, METHODS)
    inputs = {str(slot): digest for slot, digest in shown.items()}
    inputs["fold_table"] = store.require_head(store.slot("folds/fold_table")).digest
    inputs.update(_geometry(store, sets))
    recipe = Recipe(table_spec(NAME), _ARGUMENTS["code_version"], settings.bootstrap_digest, ("contract", *CHECKS))

    def plan() -> Plan:
        marked = {_mark(store, each, inputs, recipe): each for each in sets}
        return Plan(store.slot(NAME), inputs, lambda: _product(store, marked, shown, settings))

    yield from run_step(context, store, recipe, iter([(None, plan)]))


def _geometry(store: Lake, sets: list[FoldSet]) -> dict[str, str]:
    """Digests of where the spots of the held-out sections lie."""
    keys = {key for each in sets for fold in each.folds for key in fold.test}
    slots = [section_slot(store, table, key) for table in GEOMETRY for key in sorted(keys)]
    return {str(slot): store.require_head(slot).digest for slot in slots}


def _mark(store: Lake, fold_set: FoldSet, inputs: Mapping[str, str], recipe: Recipe) -> str:
    """Fingerprint of the rows of one set: of those inputs that it reads, and of who is held out."""
    held_out = [(fold, key) for fold in fold_set.folds for key in fold.test]
    slots = [section_slot(store, table, key) for table in GEOMETRY for _, key in held_out]
    slots += [slot for read in (fold_set.observed, *fold_set.predictions.values()) for slot in read]
    own = {str(slot): inputs[str(slot)] for slot in slots}
    own.update({f"{fold.fold_id} {key}": str(fold.patient_in_training(key)) for fold, key in held_out})
    return fingerprint(recipe.spec.name, recipe.code_version, recipe.settings_hash, own)


def _product(
    store: Lake, sets: Mapping[str, FoldSet], shown: Mapping[Slot, str], settings: "EvaluationSettings"
) -> Product:
    """Rows of all sets, by their marks."""
    import pandas as pd

    known, tables = _known(store), []
    for mark, each in sets.items():
        tables.extend([known[mark]] if mark in known else _compare(store, each, settings))
    tables = [table for table in tables if len(table)]
    facts = {MADE_FROM: json.dumps([(each.name, mark) for mark, each in sets.items() if not each.unlike])}
    if not tables:
        nothing = arrow_schema(table_spec(NAME)).empty_table()
        return Product(nothing, findings=[domain.nothing_to_compare()], schema_facts=facts)
    table = pd.concat(tables, ignore_index=True)
    scores = [store.read_table(s, digest=d).to_pandas() for s, d in shown.items() if s.table == SCORES]
    unlike = [text for each in sets.values() for text in each.unlike]
    finding = domain.comparisons_agree(table, pd.concat(scores) if scores else None, unlike)
    return Product(table, {"n_rows": len(table)}, _picture(table), [finding], facts)


def _known(store: Lake) -> "dict[str, pd.DataFrame]":
    """Rows of each set in the newest artefact, by mark."""
    from gr2st_core.training.folds import EXTERNAL

    if (head := store.head(store.slot(NAME))) is None:
        return {}
    table = store.read_table(head.slot, digest=head.digest)
    rows, made_from = table.to_pandas(), json.loads(table.schema.metadata.get(MADE_FROM.encode(), "[]"))
    owner = rows.cohort.where(rows.split_unit != EXTERNAL, EXTERNAL)
    parts = dict(iter(rows.groupby([owner, "split_unit", "panel", "target", "seed"])))
    return {mark: parts.get(tuple(name), rows[:0]) for name, mark in made_from}


def _compare(store: Lake, fold_set: FoldSet, settings: "EvaluationSettings") -> "Iterator[pd.DataFrame]":
    """Tables of one set: one a cohort of test sections and a group of training patients."""
    from gr2st_core.evaluation.bootstrap import DrawnScores, draw_scores
    from gr2st_core.evaluation.comparisons import by_training_patients, compare_with_references
    from gr2st_core.evaluation.resampling import gene_counts, spatial_blocks

    drawn: dict[str, dict[bool, list[DrawnScores]]] = {}
    for section in fold_set.sections(store):
        image = section.image
        scored = draw_scores(
            image.key,
            image.patient_id,
            section.observed,
            section.predicted,
            blocks=spatial_blocks(image.pitch_xy, settings.block_pitches),
            gene_draws=gene_counts(section.genes, settings.n_bootstrap, SEED),
            seed=SEED,
        )
        drawn.setdefault(image.key.cohort, {}).setdefault(section.patient_in_training, []).append(scored)
    for cohort, sections in drawn.items():
        for group, members in by_training_patients(sections).items():
            table = compare_with_references(members, seed=SEED)
            if len(table):
                yield _rows(table, fold_set, cohort, group)


def _rows(table: "pd.DataFrame", fold_set: FoldSet, cohort: str, group: str) -> "pd.DataFrame":
    """Comparisons with what they belong to, names taken apart into method and profile."""
    columns: dict[str, Any] = {
        "cohort": cohort,
        "split_unit": fold_set.split_unit,
        "panel": fold_set.variant.panel,
        "target": fold_set.variant.target,
        "seed": fold_set.variant.seed,
        "training_patients": group,
    }
    for side in ("a", "b"):
        columns[f"method_{side}"] = [METHODS[name].method for name in table[side]]
        columns[f"profile_{side}"] = [METHODS[name].profile for name in table[side]]
    return table.drop(columns=["a", "b"]).assign(**columns)


def _picture(table: "pd.DataFrame") -> bytes:
    """Forest of the first cohort's patient unit (section unit if there is none), first target and reference."""
    unit = "patient" if (table.split_unit == "patient").any() else table.split_unit.iloc[0]
    part = table[(table.split_unit == unit) & (table.training_patients == "all")]
    first = part.iloc[0]
    for column in ("cohort", "panel", "target", "seed", "method_b", "profile_b"):
        part = part[part[column] == first[column]]
    reference = f"{first.method_b}_{first.profile_b}"
    named = part.assign(name=part.method_a + "_" + part.profile_a)
    return pictures.forest(named, reference, f"{first.cohort}, {unit} held out, {first.target}; {first.scope}")
