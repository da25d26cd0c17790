"""First chapter: what was reached, beside everything that it must be read against.

Belongs here: the scoreboard of the headline with intervals, nulls, ceiling and depth oracle; the sentences. Does not
belong here: spread over patients and genes (``spread``).
"""

from collections.abc import Sequence
from typing import Any

from gr2st_assets import results
from gr2st_assets.report.answers import Answer, Asking
from gr2st_assets.report.blocks import Block, Chapter
from gr2st_assets.report.charts import Dot, Row, intervals
from gr2st_assets.report.subject import Subject

PLACE = "cohort = $cohort AND panel = $panel AND target = $target AND seed = $seed"
_HEADLINE = f"{PLACE} AND split_unit = $unit AND training_patients = 'all'"

_FACTS = f"""
WITH board AS (SELECT * FROM scoreboard WHERE {_HEADLINE}),
  own AS (SELECT * FROM board WHERE method = $method AND profile = $profile),
  beside AS (
    SELECT * FROM comparisons WHERE {_HEADLINE} AND method_a = $method AND profile_a = $profile
      AND method_b = $than_method AND profile_b = $than_profile
  )
SELECT own.n_sections, own.n_patients, round(own.pearson_zero_filled, 3) AS r,
  round(own.pearson_patients, 3) AS r_patients, round(own.pearson_min, 3) AS r_min, round(own.pearson_max, 3) AS r_max,
  round(own.pearson_equal_depth, 3) AS equal_depth, round(own.pearson_shuffled, 3) AS shuffled,
  round(own.ceiling, 3) AS ceiling,
  CAST(round(100 * own.pearson_zero_filled / own.ceiling) AS INTEGER) AS percent_of_ceiling,
  (SELECT round(pearson_zero_filled, 3) FROM board WHERE method = $than_method AND profile = $than_profile) AS than_r,
  (SELECT round(pearson_zero_filled, 3) FROM board WHERE method = 'null' AND profile = 'same_place') AS same_place,
  (SELECT round(pearson_zero_filled, 3) FROM board WHERE method = 'null' AND profile = 'training_mean')
    AS training_mean,
  (SELECT round(max(pearson_zero_filled), 3) FROM board WHERE is_diagnostic) AS oracle,
  (SELECT round(max(pearson_equal_depth), 3) FROM board WHERE is_diagnostic) AS oracle_equal_depth,
  (SELECT round(difference, 3) FROM beside) AS difference, (SELECT round(low, 3) FROM beside) AS low,
  (SELECT round(high, 3) FROM beside) AS high, (SELECT round(p_holm, 4) FROM beside) AS p_holm,
  (SELECT scope FROM beside) AS scope
FROM own
"""  # noqa: S608 - constants of this module

_BOARD = f"""
SELECT b.method || '_' || b.profile AS method,
  CASE WHEN b.is_diagnostic THEN 'diagnostic' WHEN b.method = 'null' THEN 'null'
    WHEN (b.method, b.profile) = ($method, $profile) THEN $role ELSE '' END AS role,
  round(b.pearson_zero_filled, 3) AS r, round(b.pearson_patients, 3) AS r_patients,
  round(b.pearson_min, 3) AS lowest, round(b.pearson_max, 3) AS highest,
  round(c.difference, 3) AS difference, round(c.low, 3) AS low, round(c.high, 3) AS high,
  round(c.p_holm, 4) AS p_holm, round(b.pearson_equal_depth, 3) AS equal_depth,
  round(b.pearson_shuffled, 3) AS shuffled, round(b.r2_median, 3) AS r2, round(b.ceiling, 3) AS ceiling,
  b.n_undefined AS undefined
FROM (FROM scoreboard WHERE {_HEADLINE}) b
LEFT JOIN (FROM comparisons WHERE {_HEADLINE} AND method_b = $than_method AND profile_b = $than_profile) c
  ON c.method_a = b.method AND c.profile_a = b.profile
ORDER BY b.is_diagnostic, b.pearson_zero_filled DESC NULLS LAST, method
"""  # noqa: S608

_APART = f"""
SELECT method || '_' || profile AS method,
  round(avg(pearson_zero_filled) FILTER (patient_in_training), 3) AS mates,
  count(*) FILTER (patient_in_training) AS sections_with_mates,
  round(avg(pearson_equal_depth) FILTER (patient_in_training), 3) AS mates_equal_depth,
  round(avg(pearson_zero_filled) FILTER (NOT patient_in_training), 3) AS strangers,
  count(*) FILTER (NOT patient_in_training) AS sections_of_strangers,
  round(avg(pearson_equal_depth) FILTER (NOT patient_in_training), 3) AS strangers_equal_depth,
  round(avg(ceiling), 3) AS ceiling
FROM section_scores WHERE {PLACE} AND split_unit = 'section'
GROUP BY ALL ORDER BY bool_or(method = 'oracle'), avg(pearson_zero_filled) DESC NULLS LAST, method
"""  # noqa: S608

_DIFFERENCES = f"""
SELECT method_a || '_' || profile_a AS method, method_b || '_' || profile_b AS than, round(difference, 3) AS difference,
  round(low, 3) AS low, round(high, 3) AS high, round(p_holm, 4) AS p_holm,
  sections_above || ' of ' || n_sections AS better_in, scope
FROM comparisons WHERE {_HEADLINE} ORDER BY than, difference DESC, method
"""  # noqa: S608

_PLACES = """
SELECT panel, target, seed, split_unit, training_patients AS patients,
  max_by(method || '_' || profile, pearson_zero_filled) FILTER (NOT is_diagnostic) AS best,
  round(max(pearson_zero_filled) FILTER (NOT is_diagnostic), 3) AS r_of_best,
  round(max(pearson_zero_filled) FILTER ((method, profile) = ($method, $profile)), 3) AS r,
  round(max(pearson_equal_depth) FILTER ((method, profile) = ($method, $profile)), 3) AS equal_depth,
  round(max(ceiling), 3) AS ceiling, max(n_sections) AS sections, max(n_patients) AS patients_tested
FROM scoreboard WHERE cohort = $cohort GROUP BY ALL ORDER BY ALL
"""

_NOTE = (
    "r is the Pearson correlation over the spots of a section, averaged over genes (a constant prediction counts as "
    "0), then over sections; r_patients gives patients equal weight and leaves constant predictions out. Differences "
    "are from {than}, with 95 % intervals that {scope}; p is corrected after Holm. equal_depth: all spots thinned to "
    "one depth. shuffled: the control with permuted spots, which must be about 0. The oracle predicts from the test "
    "counts' depth: a diagnostic, no method and no bar to beat. r2: median over genes, against the training mean."
)
_MATES = (
    "A section whose patient has other sections in training (mates) is a different question from one whose patient "
    "was never seen (strangers): only the latter is like a new slide."
)


def few_patients(n_patients: int) -> str:
    """What so many patients allow to be said."""
    from gr2st_core.evaluation.resampling import MIN_PATIENTS

    if n_patients >= MIN_PATIENTS:
        return f"Intervals are over {n_patients} patients of this cohort, not of other hospitals or scanners."
    return (
        f"With {n_patients} patients (fewer than {MIN_PATIENTS}) these are effect sizes of these sections: "
        "nothing is claimed about other patients."
    )


def facts(asking: Asking) -> Answer:
    """Numbers of the headline, in one row."""
    return asking(_FACTS)


def sentences(about: Subject, numbers: dict[str, Any]) -> list[str]:
    """The verdict in words; what was not run is left out."""
    than = "_".join(about.than)
    served = f"{about.name} is served (promotion {about.event})"
    who = served if about.event else f"No served model is on this scoreboard; {about.name} is best"
    said = [
        (f"{who}: mean r {{r}} with a {about.held_out} held out, {{n_sections}} sections of {{n_patients}} patients "
         "({r_min} to {r_max} by section)."),
        f"{than} reaches {{than_r}}; the difference is {{difference}} [{{low}}, {{high}}], which {{scope}}.",
        "Without any image: the same place in the training sections {same_place}, the training mean {training_mean}.",
        "The noise of the counts would stop a perfect predictor at {ceiling}; {percent_of_ceiling} % of it is reached.",
        "With all spots at one depth {equal_depth} remains.",
        "Depth alone, read from the test counts, scores {oracle} ({oracle_equal_depth} at one depth): a diagnostic.",
    ]  # fmt: skip
    told = [text.format_map(_shown(numbers)) for text in said if not _lacks(text, numbers)]
    return [*told, few_patients(numbers["n_patients"])]


def _shown(numbers: dict[str, Any]) -> dict[str, Any]:
    return {
        name: f"{v:.3f}".replace("-", "\N{MINUS SIGN}") if isinstance(v, float) else v for name, v in numbers.items()
    }


def _lacks(text: str, numbers: dict[str, Any]) -> bool:
    return any(value is None and f"{{{name}}}" in text for name, value in numbers.items())


def chapter(about: Subject, asking: Asking) -> Chapter:
    """The verdict in words, scoreboard, mates and strangers, differences, other panels and targets."""
    head = facts(asking)
    than = "_".join(about.than)
    note = _NOTE.format(than=than, scope=head.row["scope"] or "are there once there are comparisons")
    board = asking(_BOARD, role="served" if about.event else "best")
    told = asking(results.FACTS)
    blocks = [
        Block("verdict", "In short", points=sentences(about, head.row), asked=[head]),
        Block("scoreboard", f"Scoreboard: a {about.held_out} held out", note, board),
        _forest(about, asking(_DIFFERENCES)),
        Block("sections", "A section held out: mates and strangers apart", _MATES, asking(_APART),
              empty="No folds of sections are complete."),
        Block("places", "Every panel, target and unit of this cohort", f"r is that of {about.name}.", asking(_PLACES)),
        Block("told", "Methods beside each other, target per_spot", points=results.told(told.table), asked=[told]),
    ]  # fmt: skip
    return Chapter("Verdict", blocks)


def _forest(about: Subject, answer: Answer) -> Block:
    rows = answer.rows
    drawings = [_intervals(about, than, [row for row in rows if row["than"] == than])
                for than in dict.fromkeys(row["than"] for row in rows)]  # fmt: skip
    note = "Difference of the mean r with its 95 % interval; filled where p < 0.05 after Holm's correction."
    return Block("differences", "Differences between methods", note, answer, drawings, empty="No comparisons yet.")


def _intervals(about: Subject, than: str, rows: Sequence[dict[str, Any]]) -> Any:
    drawn = [
        Row(
            row["method"],
            dots=[Dot(row["difference"], f"{row['method']}: {row['difference']} [{row['low']}, {row['high']}]")],
            low=row["low"],
            high=row["high"],
            is_shown=row["method"] == about.name,
            is_filled=row["p_holm"] < 0.05,
        )
        for row in rows
    ]
    title = f"Differences of {len(drawn)} methods from {than} with 95 % intervals"
    return intervals(drawn, title, f"mean r minus that of {than}")


def tiles(about: Subject, numbers: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The numbers to see first: what it is, its value, what to hold it against."""
    shown = _shown(numbers)
    than = "_".join(about.than)
    told = [
        ("r", f"{about.name}, {about.held_out} held out", "{r_patients} with patients of equal weight"),
        ("difference", f"above {than}", "[{low}, {high}]"),
        ("same_place", "same place, without image", "training mean {training_mean}"),
        ("equal_depth", "r at equal depth", "shuffled control {shuffled}"),
        ("ceiling", "noise ceiling", "{percent_of_ceiling} % of it is reached"),
        ("oracle", "depth oracle: diagnostic", "{oracle_equal_depth} at equal depth"),
    ]
    return [
        (str(shown[name]), label, "" if _lacks(beside, numbers) else beside.format_map(shown))
        for name, label, beside in told
        if numbers[name] is not None
    ]
