"""Last chapter: what checks and drift say, what this was made with, and what it does not say.

Belongs here: state of the platform's own doubts, settings, versions, limits. Does not belong here: scores.
"""

import json
from collections.abc import Mapping
from typing import Any

from gr2st_assets.report.answers import Asking
from gr2st_assets.report.blocks import Block, Chapter
from gr2st_assets.report.subject import Subject

# the report's own checks are not there yet while it is made
_OF_COHORT = (
    "asset <> 'evaluation/report' AND (partition_key = '' OR starts_with(partition_key, $cohort || '/') "
    "OR starts_with(partition_key, 'external/'))"
)
_CHECKS = f"""
SELECT split_part(asset, '/', 1) AS part, count(*) FILTER (passed) AS passed,
  count(*) FILTER (NOT passed AND severity = 'warning') AS warnings,
  count(*) FILTER (NOT passed AND severity = 'critical') AS failed
FROM check_results WHERE {_OF_COHORT} GROUP BY ALL ORDER BY part
"""  # noqa: S608 - constants of this module

_FAILED = f"""
SELECT asset, check_name, severity, expectation, count(*) AS times, min(partition_key) AS for_example,
  min_by(found, partition_key) AS found
FROM check_results WHERE {_OF_COHORT} AND NOT passed GROUP BY ALL ORDER BY severity, asset, check_name, expectation
LIMIT 100
"""  # noqa: S608

_DRIFT = """
SELECT measure, count(*) FILTER (NOT is_training) AS new_sections,
  count(*) FILTER (NOT is_training AND is_drift) AS new_drifting, count(*) FILTER (is_training) AS training_sections,
  count(*) FILTER (is_training AND is_drift) AS training_drifting,
  count(*) - count(threshold) AS without_threshold,
  round(max(value / threshold) FILTER (NOT is_training), 3) AS highest_over_threshold
FROM drift WHERE reference_cohort = $cohort AND champion = $event GROUP BY measure ORDER BY measure
"""
_REFUSED = """
SELECT section, message, file, field, found, expected FROM quarantine WHERE cohort = $cohort ORDER BY fault LIMIT 50
"""
_DECISIONS = """
SELECT event, kind, is_serving, method || '_' || profile AS method, panel || ' ' || target || ' ' || seed AS place,
  round(score, 3) AS score, round(gain, 3) AS gain, round(gain_low, 3) AS gain_low, n_patients AS patients,
  left(settings_digest, 8) AS settings, left(model_id, 8) AS model, reasons
FROM champion WHERE cohort = $cohort ORDER BY event
"""
LIMITS = (
    "Scores are of held-out sections and patients of this one cohort; nothing is claimed about other cohorts, tissues, "
    "scanners or stains.",
    "r says how well a map's shape is predicted, not its level: read r2 and the error maps too.",
    "Part of every r is how much RNA a spot holds; equal_depth shows what is left without it.",
    "The served method was chosen among the methods of this scoreboard on these very scores, so its own score is a "
    "little too high.",
    "Intervals of differences speak of what their scope says; choices that people made beforehand (panel, methods, "
    "settings) are not in them.",
    "This is research software: predictions are no basis for a diagnosis.",
)


def chapter(asking: Asking, settings: Mapping[str, Any], versions: Mapping[str, str], about: Subject) -> Chapter:
    """Checks, drift, decisions, settings, versions and limits.

    Parameters
    ----------
    settings
        Of the served model; empty if none is served.
    versions
        Of the software that wrote the report.
    """
    digest = f"SHA-256 {about.settings_digest}" if about.settings_digest else "No served model."
    written = "; ".join(f"{name} {version}" for name, version in versions.items())
    return Chapter(
        "State, settings and limits",
        [
            Block("failed", "Checks that did not pass", "found is that of the first partition.", asking(_FAILED),
                  empty="Every check passed."),
            Block("checks", "All checks of this cohort", "", asking(_CHECKS), empty="No check has run."),
            Block("drift", "Drift against the champion's training sections",
                  "A threshold speaks of one measure at a time.", asking(_DRIFT), empty="Nothing was compared."),
            Block("refused", "Sections that were refused", "", asking(_REFUSED), empty="None."),
            Block("decisions", "Which model is served, and why", "", asking(_DECISIONS), empty="No decision yet."),
            Block("settings", "Settings of the served model", digest, code=_text(settings)),
            Block("versions", "Versions of what wrote this page", written),
            Block("limits", "Limits of what this says", points=LIMITS),
        ],
    )  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of what computes, keeps and draws."""
    import platform
    from importlib.metadata import version

    packages = ("gr2st-assets", "dagster", "duckdb", "numpy", "pandas", "pyarrow", "torch", "matplotlib", "pillow")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _text(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, indent=1, sort_keys=True, ensure_ascii=False) if settings else ""
