"""Group ``evaluation``: scores per gene, per section, and the scoreboard.

Belongs here: bringing predictions, observed values, nulls and diagnostics side by side. Does not belong here: any
formula (``gr2st_core.evaluation``). Every method of the registry that has predictions in a fold is scored; the depth
oracle, which reads the test counts, stands beside them as a diagnostic.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from gr2st_assets import pictures
from gr2st_assets.checks import domain
from gr2st_assets.kinds import asset_arguments, fold_asset
from gr2st_assets.partitions import ALL_SECTIONS
from gr2st_assets.readers import shown_next
from gr2st_assets.resources import LakeResource
from gr2st_assets.sections import read_folds
from gr2st_assets.slots import fold_slot
from gr2st_assets.steps import Plan, Product, Recipe, run_step
from gr2st_assets.tables import arrow_schema, table_spec
from gr2st_assets.work import FoldWork
from gr2st_core.models.registry import METHODS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from gr2st_core.types import TrainSection

PREDICTIONS = tuple(f"predictions/predictions_{name}" for name in METHODS)
TRUTH = ("raw/slides", "raw/spots", "raw/counts")
CODE = ("gr2st_core.evaluation", "gr2st_core.expression", "gr2st_assets.sections")
ORACLE = ("oracle", "depth")


def _matrix(rows: "pd.DataFrame", column: str, section: "TrainSection", genes: tuple[str, ...]) -> "np.ndarray":
    """Long rows of one section as spots x genes, joined by id."""
    own = rows[rows.section_id == section.key.section_id]
    wide = own.pivot(index="spot_id", columns="gene", values=column)
    return wide.loc[section.image.spot_ids, list(genes)].to_numpy()


def _predicted(work: FoldWork) -> "Iterator[tuple[dict[str, Any], pd.DataFrame]]":
    """Identity columns and rows of every method that predicted this fold."""
    for name, spec in METHODS.items():
        table = f"predictions/predictions_{name}"
        if work.lake.head(fold_slot(work.lake, table, work.fold.fold_id, work.variant)) is not None:
            rows = work.rows(table)
            columns = {"method": spec.method, "profile": spec.profile, "model_id": rows.model_id.iloc[0]}
            yield columns, rows[["section_id", "spot_id", "gene", "predicted"]]


def _section_columns(work: FoldWork, section: "TrainSection") -> dict[str, Any]:
    return {
        **work.run_columns,
        "split_unit": work.fold.split_unit,
        "cohort": section.key.cohort,
        "section_id": section.key.section_id,
        "patient_id": section.patient_id,
        "patient_in_training": work.fold.patient_in_training(section.key),
    }


def _empty(name: str) -> Product:
    return Product(arrow_schema(table_spec(name)).empty_table())


@fold_asset(
    "evaluation/gene_scores",
    section_tables=TRUTH,
    roles=("test",),
    fold_tables=("expression/panel", "predictions/observed"),
    optional_fold_tables=PREDICTIONS,
    code=CODE,
    settings_hash=lambda settings: settings.evaluation.digest,
    kinds=frozenset({"python"}),
)
def gene_scores(work: FoldWork) -> Product:
    """Correlation and error of every gene in every held-out section, for every method and the depth oracle."""
    import pandas as pd

    from gr2st_core.evaluation.oracle import depth_oracle

    if not work.fold.test:
        return _empty("evaluation/gene_scores")
    panel, observed = work.panel(), work.rows("predictions/observed")
    tables = []
    for section in work.truth_sections():
        counts = section.counts.of(panel)
        truth = _matrix(observed, "observed", section, panel.genes)
        guesses = [(columns, _matrix(rows, "predicted", section, panel.genes)) for columns, rows in _predicted(work)]
        oracle = {"method": ORACLE[0], "profile": ORACLE[1], "model_id": None}
        for columns, guess in [*guesses, (oracle, depth_oracle(counts))]:
            scored = _score(work, counts, truth, guess)
            tables.append(scored.assign(**_section_columns(work, section), **columns))
    table = pd.concat(tables)
    is_oracle = table.method == ORACLE[0]
    table.loc[is_oracle, ["mse", "mae", "predicted_mean"]] = float("nan")  # its unit is not the target's
    names = table.method + "_" + table.profile
    means = table.assign(name=names).groupby("name").pearson.mean().dropna()
    return Product(
        table,
        {f"pearson_{name}": float(value) for name, value in means.items()},
        pictures.score_histogram(table.assign(name=names), f"{work.fold.fold_id}, {work.variant.target}"),
    )


def _score(work: FoldWork, counts: "np.ndarray", truth: "np.ndarray", guess: "np.ndarray") -> "pd.DataFrame":
    from gr2st_core.evaluation.equal_depth import score_equal_depth
    from gr2st_core.evaluation.metrics import score_section

    panel = work.panel()
    thinnings = work.settings.evaluation.n_equal_depth
    equal = score_equal_depth(counts, guess, panel, n_thinnings=thinnings)
    return score_section(truth, guess, panel.genes).assign(pearson_equal_depth=equal.pearson)


@fold_asset(
    "evaluation/section_scores",
    section_tables=TRUTH,
    roles=("test",),
    fold_tables=("expression/panel", "predictions/observed", "evaluation/gene_scores"),
    optional_fold_tables=PREDICTIONS,
    code=CODE,
    settings_hash=lambda settings: settings.evaluation.digest,
    kinds=frozenset({"python"}),
)
def section_scores(work: FoldWork) -> Product:
    """Means over genes per held-out section and method, with noise ceiling and shuffled control."""
    from dataclasses import asdict

    import pandas as pd

    from gr2st_core.evaluation.ceiling import noise_ceiling
    from gr2st_core.evaluation.metrics import mean_of_defined, summarise
    from gr2st_core.evaluation.shuffled import shuffled_pearson

    if not work.fold.test:
        return _empty("evaluation/section_scores")
    panel, observed, scores = work.panel(), work.rows("predictions/observed"), work.rows("evaluation/gene_scores")
    predicted = {(c["method"], c["profile"]): rows for c, rows in _predicted(work)}
    settings, found = work.settings.evaluation, []
    for section in work.truth_sections():
        truth = _matrix(observed, "observed", section, panel.genes)
        ceiling = noise_ceiling(section.counts, panel, work.variant.target, n_thinnings=settings.n_thinnings)
        own = scores[scores.section_id == section.key.section_id]
        for names, part in own.groupby(["method", "profile"]):
            summary = asdict(summarise(part))
            del summary["n_observed_constant"]
            rows = predicted.get(names)
            shuffled = None
            if rows is not None:
                guess = _matrix(rows, "predicted", section, panel.genes)
                shuffled = shuffled_pearson(truth, guess, n_permutations=settings.n_permutations)
            found.append(
                {
                    **_section_columns(work, section),
                    "method": names[0],
                    "profile": names[1],
                    "model_id": part.model_id.iloc[0],
                    "n_spots": section.image.n_spots,
                    **summary,
                    "pearson_equal_depth": mean_of_defined(part.pearson_equal_depth),
                    "ceiling": ceiling.raw,
                    "ceiling_given_depth": ceiling.given_depth,
                    "pearson_shuffled": shuffled,
                }
            )
    return Product(pd.DataFrame(found), {"n_rows": len(found)}, _maps(work, observed, predicted))


def _maps(work: FoldWork, observed: "pd.DataFrame", predicted: "dict[tuple[str, str], pd.DataFrame]") -> bytes | None:
    """First markers of the panel, then best, median and worst gene of GR2ST, in the first held-out section."""
    import pandas as pd

    from gr2st_core.evaluation.metrics import pearson_per_gene
    from gr2st_core.expression.breast_markers import breast_markers

    rows = predicted.get(("gr2st", "ours"))
    if rows is None:
        return None
    section, genes = work.truth_sections()[0], work.panel().genes
    truth = _matrix(observed, "observed", section, genes)
    guess = _matrix(rows, "predicted", section, genes)
    score = pd.Series(pearson_per_gene(truth, guess), genes).fillna(-2.0).sort_values(kind="stable")
    markers = [gene for gene in breast_markers().genes if gene in genes][:2]
    shown = list(dict.fromkeys([*markers, score.index[-1], score.index[len(score) // 2], score.index[0]]))
    spots = pd.DataFrame(section.image.pixel_xy, columns=["pixel_x", "pixel_y"])
    for gene in shown:
        column = genes.index(gene)
        spots[f"observed_{gene}"], spots[f"predicted_{gene}"] = truth[:, column], guess[:, column]
    return pictures.observed_and_predicted(spots, shown, f"{section.key}: markers, best, median and worst gene")


SCOREBOARD = "evaluation/scoreboard"
CHECKS = ("scored_once",)
_ARGUMENTS = asset_arguments(
    SCOREBOARD, code=("gr2st_core.evaluation",), checks=CHECKS, kinds={"python"}, pool=None,
    doc="Every method, null and diagnostic per cohort, split unit, panel, target and seed: "
    "means over genes, sections, patients.",
)  # fmt: skip


@dg.asset(
    **_ARGUMENTS,
    deps=[
        dg.AssetDep(dg.AssetKey(["evaluation", "section_scores"]), partition_mapping=ALL_SECTIONS),
        dg.AssetKey(["folds", "fold_table"]),
    ],
)
def scoreboard(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
    """Make the scoreboard from the section scores of the fold sets that are complete and of one generation."""
    store = lake.open()
    folds = read_folds(store)
    slots = shown_next(store, "evaluation/section_scores")
    inputs = {str(slot): digest for slot, digest in slots.items()}
    inputs["fold_table"] = store.require_head(store.slot("folds/fold_table")).digest

    def plan() -> Plan:
        return Plan(store.slot(SCOREBOARD), inputs, compute)

    def compute() -> Product:
        import pandas as pd

        from gr2st_core.evaluation.scoreboard import scoreboard as average

        if not slots:  # a single fold was run: its rows are kept, and averaged when the others are there
            return replace(_empty(SCOREBOARD), findings=[domain.no_set_is_complete()])
        scores = pd.concat([store.read_table(slot, digest=digest).to_pandas() for slot, digest in slots.items()])
        board = average(scores)
        return Product(
            board,
            {"n_rows": len(board)},
            _picture(board),
            [domain.scored_once(scores, list(folds.values()))],
        )

    recipe = Recipe(table_spec(SCOREBOARD), _ARGUMENTS["code_version"], "", ("contract", *CHECKS))
    yield from run_step(context, store, recipe, iter([(None, plan)]))


def _picture(board: "pd.DataFrame") -> bytes:
    """Bars of the first cohort's patient unit (section unit if there is none) under the first target."""
    unit = "patient" if (board.split_unit == "patient").any() else board.split_unit.iloc[0]
    part = board[(board.split_unit == unit) & (board.training_patients == "all")]
    first = part.iloc[0]
    for column in ("cohort", "panel", "target", "seed"):
        part = part[part[column] == first[column]]
    named = part.assign(name=part.method + "_" + part.profile)
    return pictures.scoreboard_bars(named, f"{first.cohort}, {unit} held out, {first.target}")
