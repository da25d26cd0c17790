"""The results of one cohort as a page: tables and sentences, every number from a query of the catalogue.

Belongs here: the queries, and their answers as Markdown. Does not belong here: any number, running queries (``sql``).
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING

from gr2st_assets import comparator_results as comparators
from gr2st_assets.sql_formats import write_answer

if TYPE_CHECKING:
    import pyarrow as pa

Ask = Callable[[str], "pa.Table"]
"""Runs a query with the parameters ``$cohort`` and ``$panel``."""

_TARGETS = ("per_spot", "per_gene_legacy", "cp10k")


@dataclass(frozen=True)
class Part:
    """A table of the page with its title, or a sentence with the columns of the query's one row in braces."""

    text: str
    query: str


_PER_TARGET = ", ".join(f"round(avg(pearson) FILTER (target = '{name}'), 3) AS {name}" for name in _TARGETS)


def _scores(unit: str, patients: str) -> str:
    return f"""
SELECT method || '_' || profile AS method, {comparators.SETTING} AS setting, {_PER_TARGET},
  round(stddev_samp(pearson) FILTER (target = 'per_spot'), 3) AS seed_sd, count(DISTINCT seed) AS seeds,
  round(avg(pearson_equal_depth) FILTER (target = 'per_spot'), 3) AS equal_depth,
  round(avg(r2_median) FILTER (target = 'per_spot'), 3) AS r2,
  round(avg(ceiling) FILTER (target = 'per_spot'), 3) AS ceiling, max(n_sections) AS sections
FROM scoreboard
WHERE cohort = $cohort AND panel = $panel AND split_unit = '{unit}' AND training_patients = '{patients}'
GROUP BY ALL ORDER BY bool_or(is_diagnostic), per_spot DESC NULLS LAST, 1
"""  # noqa: S608 - constants of this module


_BY_PATIENT = f"""
SELECT patient_id AS patient, method || '_' || profile AS method, {_PER_TARGET},
  round(avg(pearson_equal_depth) FILTER (target = 'per_spot'), 3) AS equal_depth,
  count(DISTINCT section_id) AS sections
FROM section_scores
WHERE cohort = $cohort AND panel = $panel AND split_unit = 'patient'
GROUP BY ALL ORDER BY patient, bool_or(method = 'oracle'), per_spot DESC NULLS LAST, 2
"""  # noqa: S608


def _by_section(unit: str) -> str:
    return f"""
SELECT section_id || CASE WHEN patient_in_training THEN '' ELSE '*' END AS section,
  method || '_' || profile AS method, round(avg(pearson), 3) AS per_spot
FROM section_scores
WHERE cohort = $cohort AND panel = $panel AND target = 'per_spot' AND split_unit = '{unit}' AND method <> 'null'
GROUP BY ALL ORDER BY section, per_spot DESC, 2
"""  # noqa: S608


def _compared(unit: str) -> str:
    return f"""
SELECT method_a || '_' || profile_a AS method, method_b || '_' || profile_b AS than,
  round(difference, 3) AS difference, round(low, 3) AS low, round(high, 3) AS high, round(p_holm, 4) AS p_holm,
  sections_above || ' of ' || n_sections AS better_in, scope
FROM comparisons
WHERE cohort = $cohort AND panel = $panel AND split_unit = '{unit}' AND training_patients = 'all'
  AND seed = 0 AND target = 'per_spot'
ORDER BY than, difference DESC, 1
"""  # noqa: S608


_RECALL = """
SELECT method || '_' || profile AS method, round(mates, 3) AS mates, round(strangers, 3) AS strangers,
  round(share, 2) AS recall_share, sections_above || ' of ' || n_sections AS mates_better_in,
  round(mean_training_spots) AS training_spots
FROM recall_share WHERE cohort = $cohort AND panel = $panel AND target = 'per_spot' AND seed = 0
ORDER BY mates DESC, 1
"""


def _studied(study: str) -> str:
    return f"""
SELECT parameter, setting, round(pearson, 3) AS pearson, round(difference, 3) AS difference,
  round(difference_min, 3) AS lowest, round(difference_max, 3) AS highest,
  sections_below || ' of ' || n_sections AS worse_in, sections_of_base > 0 AS own_setting
FROM studies
WHERE study = '{study}' AND cohort = $cohort AND panel = $panel AND split_unit = 'section' AND target = 'per_spot'
  AND seed = 0
ORDER BY parameter, value, setting
"""  # noqa: S608


RECALL = Part("Trained on as many spots of mates as of strangers, `per_spot`", _RECALL)
TABLES = (
    Part("A section held out: mean over sections", _scores("section", "all")),
    Part("A section held out, its patient in training (mates)", _scores("section", "mates")),
    Part("A section held out, its patient not in training (strangers)", _scores("section", "strangers")),
    Part("A patient held out: mean over sections", _scores("patient", "all")),
    Part("Patient by patient, each predicted by a model of the others: mean over its sections", _BY_PATIENT),
    RECALL,
    Part("The published systems here beside their published figures", comparators.BESIDE_PUBLISHED),
    Part("Size and cost of every method: stored weights, training of one fold", comparators.COSTS),
    Part("Differences, `per_spot`, a section held out, seed 0", _compared("section")),
    Part("Differences, `per_spot`, a patient held out, seed 0", _compared("patient")),
    Part("Per section, `per_spot`, a section held out (* patient not in training)", _by_section("section")),
    Part("Per section, `per_spot`, a patient held out", _by_section("patient")),
)
STUDIES = (
    Part(
        "GR2ST ours with a part left out, `per_spot`, a section held out: difference from the whole",
        _studied("ablation"),
    ),
    Part("GR2ST ours with a setting changed, `per_spot`, a section held out", _studied("sensitivity")),
)
_MEANS = f"""
WITH m AS (
  SELECT method || '_' || profile AS name, split_unit, avg(pearson) AS r, avg(pearson_equal_depth) AS equal_depth,
    avg(ceiling) AS ceiling, avg(gr2st_share) AS gr2st_share
  FROM scoreboard WHERE cohort = $cohort AND panel = $panel AND target = 'per_spot' AND training_patients = 'all'
  GROUP BY ALL
), {comparators.MEANS.strip()},
best AS (SELECT split_unit, max(r) AS r FROM m WHERE name NOT LIKE 'oracle%' GROUP BY ALL)
"""  # noqa: S608 - constants of two modules
_ROW = "printf('%.3f', max(r) FILTER (name = '{0}' AND split_unit = '{1}')) AS {0}_{1}"
_SHARE = "printf('%.2f', max(gr2st_share) FILTER (name = 'blend_default' AND split_unit = '{0}')) AS gr2st_share_{0}"
_NAMES = (
    "gr2st_ours",
    "gr2st_ours_m224",
    "gr2st_r1",
    "gr2st_r2",
    "ridge_m224",
    "low_rank_m224",
    "oracle_depth",
    "null_same_place",
)
_ALL = ", ".join(_ROW.format(name, unit) for name in _NAMES for unit in ("section", "patient"))
FACTS = f"""{_MEANS}
SELECT {_ALL},
  (SELECT any_value(name) FROM m JOIN best USING (split_unit, r) WHERE split_unit = 'section') AS best_section,
  (SELECT any_value(name) FROM m JOIN best USING (split_unit, r) WHERE split_unit = 'patient') AS best_patient,
  (SELECT printf('%.3f', r) FROM best WHERE split_unit = 'section') AS best_r_section,
  (SELECT printf('%.3f', r) FROM best WHERE split_unit = 'patient') AS best_r_patient,
  printf('%.3f', max(equal_depth) FILTER (name = 'gr2st_ours' AND split_unit = 'section')) AS ours_equal_depth,
  printf('%.3f', max(equal_depth) FILTER (name = 'gr2st_ours' AND split_unit = 'patient')) AS ours_equal_depth_patient,
  printf('%.3f', max(equal_depth) FILTER (name NOT LIKE 'oracle%')) AS best_equal_depth,
  printf('%.3f', max(ceiling)) AS ceiling,
  {_SHARE.format("section")}, {_SHARE.format("patient")},
  {comparators.COLUMNS},
  (SELECT count(DISTINCT section_id) FROM section_scores WHERE cohort = $cohort) AS n_sections,
  (SELECT count(DISTINCT patient_id) FROM fold_table WHERE cohort = $cohort AND role = 'test') AS n_patients
FROM m
"""  # noqa: S608
"""Numbers of ``SENTENCES``, in one row."""
SENTENCES = (
    "All of this is about {n_sections} sections of {n_patients} patients: it describes them and claims no more.",
    "The highest mean correlation with a section held out is {best_r_section}, by {best_section}; with a patient held "
    "out {best_r_patient}, by {best_patient}.",
    "GR2ST as first released (r1) reaches {gr2st_r1_section} and {gr2st_r1_patient}, "
    "as published with its head (r2) {gr2st_r2_section} and {gr2st_r2_patient} (section, patient held out).",
    "GR2ST repaired (ours) reaches {gr2st_ours_section} and {gr2st_ours_patient}; on the features that r1 and r2 read, "
    "{gr2st_ours_m224_section} and {gr2st_ours_m224_patient}.",
    "On those features ridge reaches {ridge_m224_section} and {ridge_m224_patient}, "
    "low-rank ridge {low_rank_m224_section} and {low_rank_m224_patient}.",
    "The spot's number of molecules alone, read from the test counts, scores {oracle_depth_section}: "
    "a method below it has not been shown to know more than how much RNA there is.",
    "With all spots thinned to one depth, ours keeps {ours_equal_depth} (section) and {ours_equal_depth_patient} "
    "(patient); the best of all methods keeps {best_equal_depth}.",
    "The same place in the patient's other sections, without any image, scores {null_same_place_section} with a "
    "section held out and {null_same_place_patient} with a patient held out: what is recalled is not predicted.",
    "GR2ST's share in the blend, chosen inside training, is {gr2st_share_section} with a section held out and "
    "{gr2st_share_patient} with a patient held out (mean over sections; 0: it was left out).",
    "The noise of the counts themselves would stop a perfect predictor at {ceiling}.",
    *comparators.SENTENCES,
)


_HOW = """Written from the catalogue by `gr2st results {cohort} {panel}` after `gr2st materialize`; for the real
sections, `make real` has every command. Scores are correlations over the spots of a section, averaged over genes, then
over sections, then over seeds."""
_HOW_STUDIED = """Written from the catalogue by `gr2st results {cohort} {panel} --study` after `gr2st study`; for
the real sections, `make study` has every command. Each row is GR2ST with one part left out, or one setting changed,
and its difference from the whole on the same sections."""


def page(ask: Ask, cohort: str, panel: str) -> str:
    """Write the results of a cohort on a panel as Markdown.

    A sentence about a method that was not run is left out, and so is a table without rows.

    Raises
    ------
    QueryError, MissingArtifactError
    """
    lines = [f"# Results: {cohort}, panel {panel}", "", _HOW.format(cohort=cohort, panel=panel), ""]
    lines += [f"{number}. {text}" for number, text in enumerate(told(ask(FACTS)), start=1)]
    return "\n".join([*lines, *_tables(ask, TABLES)])


def study_page(ask: Ask, cohort: str, panel: str) -> str:
    """Write what the studies of GR2ST on a cohort and panel say as Markdown; a study that was not run is left out.

    Raises
    ------
    QueryError, MissingArtifactError
    """
    head = [f"# Studies: {cohort}, panel {panel}", "", _HOW_STUDIED.format(cohort=cohort, panel=panel)]
    return "\n".join([*head, *_tables(ask, STUDIES)])


def _tables(ask: Ask, parts: Sequence[Part]) -> Iterator[str]:
    for part in parts:
        if (table := ask(part.query)).num_rows:
            yield from ("", f"## {part.text}", "", _markdown(table))


def told(facts: "pa.Table") -> list[str]:
    """Sentences of which the answer to ``FACTS`` has every number."""
    (numbers,) = facts.to_pylist()
    return [
        text.format(**numbers)
        for text in SENTENCES
        if all(numbers[name] is not None for _, name, _, _ in Formatter().parse(text) if name)
    ]


def _markdown(table: "pa.Table") -> str:
    stream = io.BytesIO()
    write_answer(table, "markdown", stream)
    return stream.getvalue().decode()
