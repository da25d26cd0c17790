"""Second chapter: how scores spread over patients and genes.

Belongs here: dots by patient, distributions by gene, r against expression, marker genes, best and worst. Does not
belong here: means (``verdict``), maps (``maps``).
"""

from typing import Any

from gr2st_assets.report.answers import Answer, Asking
from gr2st_assets.report.blocks import Block, Chapter
from gr2st_assets.report.charts import Dot, Point, Row, histograms, rows_of_dots, scatter
from gr2st_assets.report.subject import Subject
from gr2st_assets.report.verdict import PLACE

_BIN = 0.05
_HELD_OUT = f"{PLACE} AND split_unit = $unit"
_OWN = f"{_HELD_OUT} AND method = $method AND profile = $profile"

_PATIENTS = f"""
SELECT method || '_' || profile AS method, patient_id AS patient, round(avg(pearson_zero_filled), 3) AS r,
  count(*) AS sections
FROM section_scores WHERE {_HELD_OUT}
GROUP BY section_scores.method, profile, patient_id
ORDER BY avg(avg(pearson_zero_filled)) OVER (PARTITION BY section_scores.method, profile) DESC, 1, 2
"""  # noqa: S608 - constants of this module

_GENES = f"""
WITH genes AS (
  SELECT method || '_' || profile AS method, gene, avg(pearson_zero_filled) AS r
  FROM gene_scores WHERE {_HELD_OUT} AND ((method, profile) = ($method, $profile) OR method IN ('null', 'ridge', 'knn'))
  GROUP BY ALL
)
SELECT method, round(floor(r / {_BIN} + 1e-9) * {_BIN}, 2) AS r_from, count(*) AS genes
FROM genes WHERE r IS NOT NULL GROUP BY method, r_from
ORDER BY method <> $method || '_' || $profile, method, r_from
"""  # noqa: S608

_SHUFFLED = f"""
SELECT round(avg(pearson_shuffled), 3) AS shuffled, round(min(pearson_shuffled), 3) AS lowest,
  round(max(pearson_shuffled), 3) AS highest, sum(n_undefined) AS undefined, count(*) AS sections
FROM section_scores WHERE {_OWN}
"""  # noqa: S608

_SCORED = f"""
WITH marks AS (
  SELECT gene, min(gene_group) AS marks FROM panel
  WHERE panel = $panel AND starts_with(fold_id, $cohort || '/') GROUP BY gene
), measured AS (
  SELECT gene, 1 - sum(detected_spots) / sum(n_spots) AS dropout FROM hvg_table WHERE cohort = $cohort GROUP BY gene
), ridge AS (
  SELECT gene, avg(pearson) AS r FROM gene_scores
  WHERE {_HELD_OUT} AND method = $than_method AND profile = $than_profile GROUP BY gene
), scored AS (
  SELECT gene, marks, avg(pearson) AS r, min(pearson) AS lowest, max(pearson) AS highest,
    avg(pearson_equal_depth) AS equal_depth, any_value(ridge.r) AS r_of_reference,
    avg(observed_mean) AS mean_expression, any_value(dropout) AS dropout, count(*) - count(pearson) AS undefined
  FROM gene_scores LEFT JOIN marks USING (gene) LEFT JOIN measured USING (gene) LEFT JOIN ridge USING (gene)
  WHERE {_OWN} GROUP BY ALL
)
"""  # noqa: S608
_COLUMNS = """
SELECT gene, marks, round(r, 3) AS r, round(lowest, 3) AS lowest_section, round(highest, 3) AS highest_section,
  round(equal_depth, 3) AS equal_depth, round(r_of_reference, 3) AS r_of_reference,
  round(mean_expression, 3) AS mean_expression, round(dropout, 3) AS dropout, undefined
FROM scored
"""
_MARKERS = f"{_SCORED.strip()}{_COLUMNS.rstrip()} WHERE marks IS NOT NULL ORDER BY marks, gene"
_BEST = f"{_SCORED.strip()}{_COLUMNS.rstrip()} WHERE r IS NOT NULL ORDER BY scored.r DESC, gene LIMIT 10"
_WORST = f"{_SCORED.strip()}{_COLUMNS.rstrip()} WHERE r IS NOT NULL ORDER BY scored.r, gene LIMIT 10"
_AGAINST = f"""{_SCORED.strip()}
SELECT gene, marks, round(r, 3) AS r, round(mean_expression, 3) AS mean_expression, round(dropout, 3) AS dropout
FROM scored WHERE r IS NOT NULL ORDER BY gene"""  # noqa: S608


def chapter(about: Subject, asking: Asking) -> Chapter:
    """Patients, then genes: markers first, the worst beside the best."""
    reference = "_".join(about.than)
    note = f"r_of_reference is {reference}'s. lowest and highest are over sections; undefined counts sections where "
    note += "the gene or its prediction is constant."
    return Chapter(
        "Spread over patients and genes",
        [
            _patients(about, asking(_PATIENTS)),
            Block("markers", "Marker genes of the panel", note, asking(_MARKERS), italic="gene",
                  empty="The panel holds none of the prespecified breast markers."),
            _genes(about, asking(_GENES), asking(_SHUFFLED)),
            _expression(about, asking(_AGAINST)),
            Block("worst", "Worst ten genes", "", asking(_WORST), italic="gene"),
            Block("best", "Best ten genes", "", asking(_BEST), italic="gene"),
        ],
    )  # fmt: skip


def _patients(about: Subject, answer: Answer) -> Block:
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in answer.rows:
        if row["r"] is not None:
            rows.setdefault(row["method"], []).append(row)
    drawn = [
        Row(
            name,
            sum(row["r"] for row in own) / len(own),
            [Dot(row["r"], f"{name}, patient {row['patient']}: r {row['r']:.3f}") for row in own],
            is_shown=name == about.name,
        )
        for name, own in rows.items()
    ]
    title = f"Mean r of every patient by method, {about.held_out} held out"
    note = (
        "One dot a patient: mean over its sections; the bar is the mean over patients. Point at a dot for its patient."
    )
    drawings = [rows_of_dots(drawn, title, "mean r of a patient")] if drawn else []
    return Block("patients", "Patient by patient", note, drawings=drawings, asked=[answer])


def _genes(about: Subject, answer: Answer, control: Answer) -> Block:
    counts: dict[str, dict[float, int]] = {}
    for row in answer.rows:
        counts.setdefault(row["method"], {})[row["r_from"]] = row["genes"]
    band = (control.row["lowest"], control.row["highest"]) if control.row["shuffled"] is not None else None
    note = (
        "Mean over sections of each gene's r. The grey band is where the shuffled control (spots permuted, mean over "
        "genes) lies over the sections. The training mean predicts the same at every spot, which counts as 0."
    )
    title = f"Distribution of r over genes: {about.name} beside nulls, ridge and kNN"
    drawings = [histograms(counts, _BIN, title, "r of a gene", shown=about.name, band=band)] if counts else []
    return Block("genes", "Gene by gene", note, drawings=drawings, asked=[answer, control])


def _expression(about: Subject, answer: Answer) -> Block:
    labels = {"mean_expression": "mean expression, target units", "dropout": "share of spots without a molecule"}
    drawings = []
    for column, label in labels.items():
        known = [row for row in answer.rows if row[column] is not None]
        points = [Point(row[column], row["r"], _told(row, column), row["marks"] is not None) for row in known]
        if points:
            drawings.append(scatter(points, f"r of each gene of {about.name} against {label}", label, "r"))
    note = "One dot a gene; markers in orange. What is rarely seen is measured badly, so it cannot be predicted well."
    return Block("expression", "r against expression and dropout", note, drawings=drawings, asked=[answer])


def _told(row: dict[str, Any], column: str) -> str:
    marks = f" ({row['marks']})" if row["marks"] else ""
    return f"{row['gene']}{marks}: r {row['r']:.3f} at {row[column]:.3f}"
