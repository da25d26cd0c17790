"""Group ``evaluation``, first part: scores per gene and per section of every fold.

Belongs here: bringing predictions, observed values, nulls and diagnostics side by side. Does not belong here: any
formula (``gr2st_core.evaluation``), what is made of all folds (``scoreboard``, ``comparisons``).

Every method of the registry that has predictions in a fold is scored; the depth oracle, which reads the test counts,
stands beside them as a diagnostic.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gr2st_assets import pictures
from gr2st_assets.kinds import fold_asset
from gr2st_assets.matrices import edge_rows, rows_of_section, spots_by_genes
from gr2st_assets.sections import read_rows
from gr2st_assets.steps import Product
from gr2st_assets.tables import arrow_schema, table_spec
from gr2st_assets.work import FoldWork
from gr2st_core.models.registry import METHODS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from gr2st_core.evaluation.equal_depth import EqualDepthTruth
    from gr2st_core.types import Panel, TrainSection

PREDICTIONS = tuple(f"predictions/predictions_{name}" for name in METHODS)
TRUTH = ("raw/slides", "raw/spots", "raw/counts")
GRAPH = "graphs/spatial_graph"
CODE = ("gr2st_core.evaluation", "gr2st_core.expression", "gr2st_assets.matrices", "gr2st_assets.sections")
ORACLE = ("oracle", "depth")
PANEL = "expression/panel"
GR2ST = "gr2st_ours"
TRAINING_MEAN = ("null", "training_mean")
Guesses = dict[tuple[str, str], "pa.Table"]


def _matrix(rows: "pa.Table", column: str, section: "TrainSection", genes: tuple[str, ...]) -> "np.ndarray":
    """Long rows of one section as spots x genes, joined by id."""
    own = rows_of_section(rows, section.key.section_id)
    return spots_by_genes(own, column, section.image.spot_ids.tolist(), genes, section=str(section.key))


def _observed(work: FoldWork) -> "pa.Table":
    return work.lake.read_table(work.slot("predictions/observed"), ["section_id", "spot_id", "gene", "observed"])


def _predicted(work: FoldWork) -> Guesses:
    """Rows of every method that predicted this fold for its present panel."""
    found = {}
    panel = work.lake.require_head(work.slot(PANEL)).digest
    for name, spec in METHODS.items():
        slot = work.slot(f"predictions/predictions_{name}")
        head = work.lake.head(slot)
        if head is not None and head.provenance.inputs[PANEL] == panel:
            columns = ["section_id", "spot_id", "gene", "predicted", "model_id", "weight"]
            found[spec.method, spec.profile] = work.lake.read_table(slot, columns)
    return found


def gr2st_share(rows: "pa.Table", name: str) -> float | None:
    """Share of GR2ST in a fold's predictions by a method that is made of it, None for any other method."""
    is_made_of_gr2st = GR2ST in METHODS[name].components
    return float(rows.column("weight")[0].as_py()) if is_made_of_gr2st else None


def _guesses(
    predicted: Guesses, section: "TrainSection", genes: tuple[str, ...]
) -> "Iterator[tuple[dict[str, Any], np.ndarray]]":
    """Identity columns and matrix of every method."""
    for (method, profile), rows in predicted.items():
        columns = {"method": method, "profile": profile, "model_id": rows.column("model_id")[0].as_py()}
        yield columns, _matrix(rows, "predicted", section, genes)


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
    section_tables=(*TRUTH, GRAPH),
    roles=("test",),
    fold_tables=(PANEL, "predictions/observed"),
    optional_fold_tables=PREDICTIONS,
    code=CODE,
    settings_hash=lambda settings: settings.evaluation.scores_digest,
    kinds=frozenset({"python"}),
)
def gene_scores(work: FoldWork) -> Product:
    """Correlation, error and pattern of every gene in every held-out section, per method and for the depth oracle."""
    import pandas as pd

    from gr2st_core.evaluation.equal_depth import EqualDepthTruth
    from gr2st_core.evaluation.oracle import depth_oracle

    if not work.fold.test:
        return _empty("evaluation/gene_scores")
    panel, observed, predicted, options = work.panel(), _observed(work), _predicted(work), work.settings.evaluation
    tables = []
    for section in work.truth_sections():
        truth = _matrix(observed, "observed", section, panel.genes)
        counts = section.counts.of(panel)
        mean = _training_mean(predicted, section, panel.genes)
        graph = read_rows(work.lake, GRAPH, section.key)
        edges = edge_rows(graph, section.image.spot_ids.tolist(), section=str(section.key))
        equal = EqualDepthTruth.draw(counts, panel, n_thinnings=options.n_equal_depth)
        oracle = {"method": ORACLE[0], "profile": ORACLE[1], "model_id": None}, depth_oracle(counts)
        for columns, guess in [*_guesses(predicted, section, panel.genes), oracle]:
            scored = _score(panel, edges, equal, truth, guess, mean, n_top_genes=options.n_top_genes)
            tables.append(scored.assign(**_section_columns(work, section), **columns))
    table = pd.concat(tables)
    own_unit = ["mse", "mae", "predicted_mean", "r2", "variance_ratio"]
    table.loc[table.method == ORACLE[0], own_unit] = float("nan")  # its unit is not the target's
    names = table.method + "_" + table.profile
    means = table.assign(name=names).groupby("name").pearson.mean().dropna()
    return Product(
        table,
        {f"pearson_{name}": float(value) for name, value in means.items()},
        pictures.score_histogram(table.assign(name=names), f"{work.fold.fold_id}, {work.variant.target}"),
    )


def _training_mean(predicted: Guesses, section: "TrainSection", genes: tuple[str, ...]) -> "np.ndarray | None":
    """What the null of that name predicts in every spot, None if it was not run."""
    rows = predicted.get(TRAINING_MEAN)
    return None if rows is None else _matrix(rows, "predicted", section, genes)[0]


def _score(
    panel: "Panel",
    edges: "np.ndarray",
    equal_depth: "EqualDepthTruth",
    truth: "np.ndarray",
    guess: "np.ndarray",
    training_mean: "np.ndarray | None",
    *,
    n_top_genes: int,
) -> "pd.DataFrame":
    from gr2st_core.evaluation.gene_facts import with_gene_facts
    from gr2st_core.evaluation.metrics import score_section

    scores = with_gene_facts(
        score_section(truth, guess, panel.genes),
        truth,
        guess,
        training_mean=training_mean,
        edges=edges,
        most_top_genes=n_top_genes,
    )
    return scores.assign(pearson_equal_depth=equal_depth.score(guess).pearson)


@fold_asset(
    "evaluation/section_scores",
    section_tables=TRUTH,
    roles=("test",),
    fold_tables=(PANEL, "predictions/observed", "evaluation/gene_scores"),
    optional_fold_tables=PREDICTIONS,
    code=CODE,
    settings_hash=lambda settings: settings.evaluation.scores_digest,
    kinds=frozenset({"python"}),
)
def section_scores(work: FoldWork) -> Product:
    """Means over genes per held-out section and method, with noise ceiling and shuffled control."""
    import pandas as pd

    from gr2st_core.evaluation.ceiling import noise_ceiling

    if not work.fold.test:
        return _empty("evaluation/section_scores")
    panel, observed, scores = work.panel(), _observed(work), work.rows("evaluation/gene_scores")
    predicted, found = _predicted(work), []
    shares = {names: gr2st_share(rows, "_".join(names)) for names, rows in predicted.items()}
    for section in work.truth_sections():
        truth = _matrix(observed, "observed", section, panel.genes)
        n_thinnings = work.settings.evaluation.n_thinnings
        ceiling = noise_ceiling(section.counts, panel, work.variant.target, n_thinnings=n_thinnings)
        own = scores[scores.section_id == section.key.section_id]
        guesses = {(c["method"], c["profile"]): m for c, m in _guesses(predicted, section, panel.genes)}
        for names, part in own.groupby(["method", "profile"]):
            found.append(
                {
                    **_section_columns(work, section),
                    "method": names[0],
                    "profile": names[1],
                    "model_id": part.model_id.iloc[0],
                    "n_spots": section.image.n_spots,
                    **_summary(part),
                    **_of_matrices(work, truth, guesses.get(names), part, panel.genes),
                    "ceiling": ceiling.raw,
                    "ceiling_given_depth": ceiling.given_depth,
                    "gr2st_share": shares.get(names),
                }
            )
    table = pd.DataFrame(found).astype({"n_undefined_spots": "Int64"})
    return Product(table, {"n_rows": len(found)}, _maps(work, observed, predicted))


def _summary(part: "pd.DataFrame") -> dict[str, Any]:
    """What follows from the scores of the genes."""
    from dataclasses import asdict

    from gr2st_core.evaluation.metrics import mean_of_defined, summarise
    from gr2st_core.evaluation.section_facts import section_facts

    summary = asdict(summarise(part))
    del summary["n_observed_constant"]
    equal = {"pearson_equal_depth": mean_of_defined(part.pearson_equal_depth)}
    return {**summary, **asdict(section_facts(part)), **equal}


def _of_matrices(
    work: FoldWork, truth: "np.ndarray", guess: "np.ndarray | None", part: "pd.DataFrame", genes: tuple[str, ...]
) -> dict[str, Any]:
    """What needs truth and prediction; None throughout for the oracle, whose unit is its own."""
    from dataclasses import asdict, fields

    from gr2st_core.evaluation.section_facts import SpotFacts, spot_facts
    from gr2st_core.evaluation.shuffled import shuffled_pearson

    if guess is None:
        return {**dict.fromkeys([field.name for field in fields(SpotFacts)]), "pearson_shuffled": None}
    settings, mean = work.settings.evaluation, part.set_index("gene").training_mean.loc[list(genes)]
    facts = spot_facts(
        truth, guess, training_mean=None if mean.isna().any() else mean, most_top_genes=settings.n_top_genes
    )
    shuffled = shuffled_pearson(truth, guess, n_permutations=settings.n_permutations)
    return {**asdict(facts), "pearson_shuffled": shuffled}


def _maps(work: FoldWork, observed: "pa.Table", predicted: Guesses) -> bytes | None:
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
