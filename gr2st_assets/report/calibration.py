"""Fourth chapter: whether intervals cover what they say.

Belongs here: nominal beside measured coverage, by gene and by patient. Does not belong here: calibrating
(``serving/calibration``).
"""

from gr2st_assets.report.answers import Asking
from gr2st_assets.report.blocks import Block, Chapter
from gr2st_assets.report.charts import Dot, Row, histograms, rows_of_dots
from gr2st_assets.report.subject import Subject

_BIN = 0.02
_OWN = "reference_cohort = $cohort AND champion = $event"

_SUMMARY = f"""
SELECT support, round(any_value(level), 3) AS nominal, round(avg(coverage), 3) AS coverage,
  round(min(coverage), 3) AS lowest_gene, round(max(coverage), 3) AS highest_gene,
  round(avg(coverage_min), 3) AS least_covered_patient, count(*) AS genes,
  count(*) - count(quantile) AS genes_without_interval, max(n_patients) AS patients, max(n_spots) AS spots
FROM calibration WHERE {_OWN} GROUP BY support ORDER BY support
"""  # noqa: S608 - constants of this module

_GENES = f"""
SELECT round(floor(coverage / {_BIN} + 1e-9) * {_BIN}, 2) AS coverage_from, count(*) AS genes,
  any_value(level) AS nominal
FROM calibration WHERE {_OWN} AND coverage IS NOT NULL GROUP BY coverage_from ORDER BY coverage_from
"""  # noqa: S608

_FARTHEST = f"""
SELECT gene, round(level, 3) AS nominal, round(coverage, 3) AS coverage,
  round(coverage_min, 3) AS least_covered_patient, round(quantile, 3) AS quantile
FROM calibration WHERE {_OWN} AND coverage IS NOT NULL ORDER BY abs(coverage - level) DESC, gene LIMIT 10
"""  # noqa: S608

_PATIENTS = """
WITH widths AS (
  SELECT gene, level, quantile, scale_floor, scale_intercept, scale_slope FROM calibration
  WHERE reference_cohort = $cohort AND champion = $event AND quantile IS NOT NULL
), patients AS (
  SELECT fold_id, section_id, patient_id FROM fold_table
  WHERE cohort = $cohort AND role = 'test' AND split_unit = $unit
)
SELECT patient_id AS patient, round(any_value(level), 3) AS nominal,
  round(avg(CAST(abs(observed - predicted)
    <= quantile * greatest(scale_floor, scale_intercept + scale_slope * predicted) AS INTEGER)), 3) AS coverage,
  count(*) AS predictions
FROM {view} JOIN observed USING (fold_id, panel, target, cohort, section_id, spot_id, gene)
JOIN patients USING (fold_id, section_id) JOIN widths USING (gene)
WHERE cohort = $cohort AND panel = $panel AND target = $target AND seed = $seed
GROUP BY patient_id ORDER BY coverage, patient
"""


def chapter(about: Subject, asking: Asking, view: str) -> Chapter:
    """Coverage of the champion's intervals; without a calibration it says so.

    Parameters
    ----------
    view
        Name of the view of the method's predictions, quoted.
    """
    title = "Calibration of intervals"
    summary = asking(_SUMMARY)
    note = (
        "coverage is the share of spots within intervals made without their patient, mean over patients, then over "
        "genes; support says whom the intervals speak of."
    )
    overall = Block("calibration", "Nominal and measured coverage", note, summary, empty="No calibration yet.")
    if not summary.rows:
        return Chapter(title, [overall])
    return Chapter(title, [overall, _genes(asking), _patients(about, asking, view)])


def _genes(asking: Asking) -> Block:
    answer, farthest = asking(_GENES), asking(_FARTHEST)
    drawings = []
    if rows := answer.rows:
        counts = {"genes": {row["coverage_from"]: row["genes"] for row in rows}}
        name = "Measured coverage of every gene's interval, the nominal one as a line"
        nominal = rows[0]["nominal"]
        drawn = histograms(counts, _BIN, name, "coverage of a gene", shown="genes", line=nominal, origin=nominal)
        drawings.append(drawn)
    note = "Below: the ten genes whose coverage is farthest from nominal."
    return Block("coverage_genes", "Coverage by gene", note, farthest, drawings, [answer], italic="gene",
                 empty="With one patient nothing can be left out.")  # fmt: skip


def _patients(about: Subject, asking: Asking, view: str) -> Block:
    answer = asking(_PATIENTS.replace("{view}", view))
    drawn = [
        Row(row["patient"], row["nominal"], [Dot(row["coverage"], f"patient {row['patient']}: {row['coverage']:.3f}")])
        for row in answer.rows
    ]
    name = f"Coverage by patient, {about.held_out} held out; the bar is nominal"
    note = (
        "Share of spots and genes within the intervals as they are served: these patients were among those that they "
        "were made from, so this flatters; it shows who is covered least."
    )
    nominal = answer.row["nominal"]
    drawings = [rows_of_dots(drawn, name, "coverage of a patient", origin=nominal)] if drawn else []
    return Block("coverage_patients", "Coverage by patient", note, answer, drawings)
