"""What the results say of the published systems: ours beside their own figures, and sentences.

Belongs here: queries and sentences about comparators. Does not belong here: the page (``results``), the systems
(``gr2st_core.models.comparators``), the literature's numbers (``gr2st_core/evaluation/published_scores.csv``).

Systems in their published size and those made small for two cores are methods of their own, and neither a column nor a
sentence mixes them.
"""

from gr2st_core.models.comparators.specs import COMPARATORS

SETTING = "CASE WHEN ends_with(profile, '_small') THEN 'small' ELSE 'full' END"
"""Of a row with ``profile``, as ``MethodSpec.setting``."""
_FORM = "replace(profile, '_small', '')"
_SYSTEMS = ", ".join(f"'{name}'" for name in dict.fromkeys(spec.method for spec in COMPARATORS))
_UNITS = ("section", "patient")
_SETTINGS = {
    "small": "made small for two cores, which says nothing of their published size",
    "full": "in their published size",
}

BESIDE_PUBLISHED = f"""
WITH ours AS (
  SELECT method, {_FORM} AS form, {SETTING} AS setting, target, split_unit, avg(pearson) AS r, max(n_sections) AS n
  FROM scoreboard
  WHERE cohort = $cohort AND panel = $panel AND training_patients = 'all' AND method IN ({_SYSTEMS})
  GROUP BY ALL
)
SELECT method AS system,
  CASE form WHEN 'published' THEN 'pixels' ELSE form END || ' here, ' || n || ' sections' AS source,
  CASE WHEN setting = 'small' THEN round(r, 3) END AS ours_small,
  CASE WHEN setting = 'full' THEN round(r, 3) END AS ours_full, NULL::DOUBLE AS published,
  target, split_unit AS held_out, $panel AS genes, 'no' AS chosen_on_test, 'run' AS evidence
FROM ours
UNION ALL
SELECT method, publication, NULL, NULL, value, coalesce(target, 'not known'), split_unit, coalesce(genes, 'not known'),
  CASE WHEN has_selection_leak THEN 'yes' WHEN NOT has_selection_leak THEN 'no' ELSE 'not known' END, evidence
FROM published_scores
WHERE dataset = $cohort AND section IS NULL AND statistic = 'mean' AND method IN ({_SYSTEMS})
ORDER BY system, published IS NOT NULL, source, target, held_out, evidence, genes, published
"""  # noqa: S608 - names of the registry
"""Ours and the literature's figures of the same data set, one row each, with what each was made under."""

COSTS = """
SELECT method || '_' || profile AS method, setting, max(n_parameters) AS parameters,
  round(avg(fit_seconds) FILTER (NOT is_resumed), 1) AS seconds_a_fold,
  round(max(peak_memory_mb) FILTER (NOT is_resumed)) AS peak_memory_mb,
  round(max(peak_gpu_memory_mb) FILTER (NOT is_resumed)) AS peak_gpu_memory_mb, device,
  count(*) FILTER (NOT is_resumed) AS models
FROM model_costs WHERE panel = $panel AND starts_with(fold_id, $cohort || '/')
GROUP BY model_costs.method, profile, setting, device ORDER BY setting, seconds_a_fold DESC NULLS LAST, 1
"""
"""Without trainings that went on where another process had stopped; one that folds share counts in each."""

MEANS = f"""
c AS (
  SELECT method, {_FORM} AS form, {SETTING} AS setting, split_unit, avg(pearson) AS r
  FROM scoreboard WHERE cohort = $cohort AND panel = $panel AND target = 'per_spot' AND training_patients = 'all'
    AND method IN ({_SYSTEMS})
  GROUP BY ALL
)"""  # noqa: S608 - names of the registry
"""Mean of every system in both forms and sizes; a part of the query of facts."""


def _of(setting: str, unit: str, form: str) -> str:
    return f"FROM c WHERE setting = '{setting}' AND split_unit = '{unit}' AND form = '{form}'"


def _above(setting: str, unit: str, form: str, name: str) -> str:
    least = f"(SELECT max(r) FROM m WHERE m.name = '{name}' AND m.split_unit = '{unit}')"  # noqa: S608 - as above
    return f"(SELECT sum((r > {least})::INTEGER) {_of(setting, unit, form)})"


def _columns(setting: str, unit: str) -> list[str]:
    here = f"{setting}_{unit}"
    gain = (
        "(SELECT printf('%+.3f', avg(f.r - p.r)) FROM c f JOIN c p USING (method, setting, split_unit) "  # noqa: S608
        f"WHERE f.form = 'features' AND p.form = 'published' AND setting = '{setting}' AND split_unit = '{unit}')"
    )
    columns = [f"{gain} AS gain_{here}"]
    for form in ("published", "features"):
        own = _of(setting, unit, form)
        columns += [
            f"(SELECT arg_max(method, r) {own}) AS best_{form}_{here}",
            f"(SELECT printf('%.3f', max(r)) {own}) AS r_{form}_{here}",
            f"(SELECT count(*) {own}) AS n_{form}_{here}",
            f"{_above(setting, unit, form, 'ridge_m224')} AS above_ridge_{form}_{here}",
            f"{_above(setting, unit, form, 'null_same_place')} AS above_place_{form}_{here}",
        ]
    return columns


COLUMNS = ", ".join(
    column for setting in _SETTINGS for unit in _UNITS for column in _columns(setting, unit)
)  # fmt: skip
"""Numbers of ``SENTENCES``, beside ``m`` (name, split_unit, r) and ``c``."""


def _sentences(setting: str, words: str) -> tuple[str, ...]:
    s, p = f"{setting}_section", f"{setting}_patient"
    return (
        f"Of {{n_published_{s}}} published systems that read pixels, {words}, the best reaches {{r_published_{s}}} "
        f"with a section held out ({{best_published_{s}}}) and {{r_published_{p}}} with a patient held out "
        f"({{best_published_{p}}}); {{above_ridge_published_{s}}} and {{above_ridge_published_{p}}} of them are above "
        "ridge on frozen features.",
        f"On these features instead of pixels, {setting} as well, systems change by {{gain_{s}}} (section) and "
        f"{{gain_{p}}} (patient) on average; the best of {{n_features_{s}}} reaches {{r_features_{s}}} "
        f"({{best_features_{s}}}) and {{r_features_{p}}} ({{best_features_{p}}}), and {{above_ridge_features_{s}}} and "
        f"{{above_ridge_features_{p}}} are above ridge on the same features.",
        "With a section held out, the same place in the patient's other sections, which is no image at all, scores "
        f"below {{above_place_published_{s}}} of {{n_published_{s}}} {setting} systems on pixels and "
        f"{{above_place_features_{s}}} of {{n_features_{s}}} on features.",
    )


SENTENCES = tuple(text for setting, words in _SETTINGS.items() for text in _sentences(setting, words))
"""Three for each size; those of a size that was not run are left out."""
