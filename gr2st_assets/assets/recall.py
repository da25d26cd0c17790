"""Group ``evaluation``, fourth part: how much of a score is owed to the patient's other sections.

Belongs here: training the two arms of every held-out section, and bringing their scores to the recall share. Does not
belong here: which spots an arm holds and what the share is (``gr2st_core.evaluation.recall_share``), any method.

A section whose patient has other sections (mates) and whose cohort has other patients (strangers) is predicted twice,
from equally many spots: by a model that saw mates only and by one that saw strangers only. These models exist for this
alone, and nothing of them is stored but their scores. The null that looks up the same place in other sections stands
beside them: what it scores on mates is recall and nothing else.

Comparators are asked in a table of their own, and only small and on features: on pixels every arm would take minutes.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from gr2st_assets import pictures
from gr2st_assets.checks import domain
from gr2st_assets.kinds import asset_arguments, fold_asset
from gr2st_assets.models import method_code, method_spec, settings_digest
from gr2st_assets.partitions import ALL_SECTIONS
from gr2st_assets.readers import shown_next
from gr2st_assets.resources import LakeResource
from gr2st_assets.steps import Plan, Product, Recipe, run_step
from gr2st_assets.tables import arrow_schema, table_spec
from gr2st_assets.work import FoldWork
from gr2st_core.models.comparators.specs import SMALL_ON_FEATURES
from gr2st_core.models.spec import M224

if TYPE_CHECKING:
    import pandas as pd

    from gr2st_core.evaluation.recall_share import Arm
    from gr2st_core.settings import Settings
    from gr2st_core.types import ImageSection, TrainSection

SCORES = "evaluation/recall_scores"
COMPARED = "evaluation/recall_scores_comparators"
SHARE = "evaluation/recall_share"
ASKED = {
    SCORES: ("low_rank_m224", "ridge_m224", "knn_m224", "null_same_place"),
    COMPARED: SMALL_ON_FEATURES,
}
"""Methods that are asked, by table: they read one encoder's features, or none."""
COMPARED_UNDER = ("per_spot", 0)
"""Comparators are asked under this target and seed alone: draws of spots repeat them already, and training is long."""


def recall_digest(methods: Sequence[str], settings: "Settings") -> str:
    """Digest of the settings that the scores depend on."""
    own = [settings_digest(method_spec(name), settings) for name in methods]
    return hashlib.sha256("\n".join([settings.evaluation.recall_digest, *own]).encode()).hexdigest()


def compute_scores(work: FoldWork) -> Product:
    """Scores of a held-out section after training on its patient's other sections, and on as many spots of others."""
    return _scores(SCORES, work)


def compute_compared(work: FoldWork) -> Product:
    """The same of the small comparators on features, under one target and seed."""
    if (work.variant.target, work.variant.seed) != COMPARED_UNDER:
        return _nothing(COMPARED)
    return _scores(COMPARED, work)


def _scores(table_name: str, work: FoldWork) -> Product:
    import pandas as pd

    from gr2st_core.evaluation.recall_share import recall_arms

    fold, tables = work.fold, []
    if fold.split_unit == "section":
        (image,), (truth,) = work.test_sections(M224), work.truth_sections()
        sections = {section.key: section for section in work.train_sections(M224)}
        n_spots = {image.key: image.n_spots, **{key: section.image.n_spots for key, section in sections.items()}}
        draws = range(work.settings.evaluation.n_recall_draws)
        arms = [
            arm for draw in draws for arm in recall_arms(n_spots, fold.patients, seed=draw) if arm.test == image.key
        ]
        for number, arm in enumerate(arms):
            work.progress(f"recall of {image.key}, {arm.name}", number, len(arms))
            tables.append(_score(ASKED[table_name], work, arm, sections, image, truth))
    if not tables:
        return _nothing(table_name)
    table = pd.concat(tables, ignore_index=True)
    return Product(table, {"n_rows": len(table)}, findings=[domain.arms_are_equal(table)])


def _nothing(table_name: str) -> Product:
    return Product(arrow_schema(table_spec(table_name)).empty_table(), {"n_rows": 0})


def _score(
    methods: Sequence[str],
    work: FoldWork,
    arm: "Arm",
    sections: "dict[Any, TrainSection]",
    image: "ImageSection",
    truth: "TrainSection",
) -> "pd.DataFrame":
    """One row a method."""
    import pandas as pd

    from gr2st_core.evaluation.metrics import score_section, summarise
    from gr2st_core.evaluation.shuffled import shuffled_pearson
    from gr2st_core.expression.targets import to_target
    from gr2st_core.predictor import FitRequest

    panel, target = work.panel(), work.variant.target
    request = FitRequest(
        sections=[sections[key].rows(rows) for key, rows in sorted(arm.rows.items())],
        panel=panel,
        target=target,
        seed=work.variant.seed,
        split_unit="section" if arm.name == "mates" else "patient",
    )
    observed, found = to_target(truth.counts, panel, target), []
    for name in methods:
        spec = method_spec(name)
        predicted = spec.build(work.settings).fit(request).predict(image).values
        summary = summarise(score_section(observed, predicted, panel.genes))
        n_permutations = work.settings.evaluation.n_permutations
        found.append(
            {
                "method": spec.method,
                "profile": spec.profile,
                "pearson": summary.pearson,
                "pearson_zero_filled": summary.pearson_zero_filled,
                "pearson_shuffled": shuffled_pearson(observed, predicted, n_permutations=n_permutations),
            }
        )
    return pd.DataFrame(found).assign(
        **work.run_columns,
        cohort=image.key.cohort,
        section_id=image.key.section_id,
        patient_id=image.patient_id,
        arm=arm.name,
        draw=arm.seed,
        n_training_spots=arm.n_spots,
        n_training_sections=len(arm.rows),
    )


recall_scores, recall_scores_comparators = (
    fold_asset(
        name,
        section_tables=("raw/slides", "raw/spots", "raw/counts", *(f"image/embeddings_{name}" for name in M224)),
        roles=("train", "test"),
        fold_tables=("expression/panel",),
        code=(
            "gr2st_core.evaluation",
            *(module for asked in ASKED[name] for module in method_code(method_spec(asked))),
        ),
        checks=("arms_are_equal",),
        settings_hash=partial(recall_digest, ASKED[name]),
        kinds=frozenset({"python"}),
    )(compute)
    for name, compute in ((SCORES, compute_scores), (COMPARED, compute_compared))
)

_ARGUMENTS = asset_arguments(
    SHARE, code=("gr2st_core.evaluation",), checks=(), kinds={"python"}, pool=None,
    doc="What the same patient's other sections add to a score, at equal numbers of training spots.",
)  # fmt: skip


@dg.asset(
    **_ARGUMENTS,
    deps=[
        *(dg.AssetDep(dg.AssetKey(name.split("/")), partition_mapping=ALL_SECTIONS) for name in ASKED),
        dg.AssetKey(["folds", "fold_table"]),
    ],
)
def recall_share(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
    """Average the arms of the fold sets that are complete and of one generation."""
    store = lake.open()
    slots = {slot: digest for name in ASKED for slot, digest in shown_next(store, name).items()}
    inputs = {str(slot): digest for slot, digest in slots.items()}

    def compute() -> Product:
        import pandas as pd

        from gr2st_core.evaluation.recall_share import recall_table

        scores = [store.read_table(slot, digest=digest).to_pandas() for slot, digest in slots.items()]
        scores = [part for part in scores if len(part)]
        if not scores:
            return Product(arrow_schema(table_spec(SHARE)).empty_table(), {"n_rows": 0})
        table = recall_table(pd.concat(scores, ignore_index=True))
        return Product(table, {"n_rows": len(table)}, _picture(table))

    def plan() -> Plan:
        return Plan(store.slot(SHARE), inputs, compute)

    yield from run_step(
        context, store, Recipe(table_spec(SHARE), _ARGUMENTS["code_version"], "", ("contract",)), iter([(None, plan)])
    )


def _picture(table: "pd.DataFrame") -> bytes:
    """Bars of the first cohort, panel, target and seed."""
    first, part = table.iloc[0], table
    for column in ("cohort", "panel", "target", "seed"):
        part = part[part[column] == first[column]]
    named = part.assign(name=part.method + "_" + part.profile)
    spots = f"{first.mean_training_spots:.0f} training spots"
    return pictures.recall_bars(named, f"{first.cohort}, {first.target}, {spots}, {first.n_patients} patient(s)")
