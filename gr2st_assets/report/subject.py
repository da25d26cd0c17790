"""What a report is about: the served method of a cohort, its panel, target and seed, and the unit held out.

Belongs here: choosing these from the tables. Does not belong here: what is said about them.
"""

from dataclasses import asdict, dataclass
from typing import Any

from gr2st_assets.report.answers import Ask, Asking

_COHORTS = "SELECT DISTINCT cohort FROM scoreboard WHERE training_patients = 'all' ORDER BY cohort"

# the champion if there is one; else the method of the highest score, named as such; patients held out before sections
_SUBJECT = """
SELECT b.panel, b.target, b.seed, b.split_unit AS unit, b.method, b.profile, c.event, c.settings_digest, c.model_id
FROM scoreboard b
LEFT JOIN (FROM champion WHERE is_serving) c USING (cohort, panel, target, seed, method, profile)
WHERE b.cohort = $cohort AND b.training_patients = 'all' AND NOT b.is_diagnostic
ORDER BY c.event IS NULL, b.method = 'null', list_position(['patient', 'section', 'external'], b.split_unit),
  b.pearson_zero_filled DESC NULLS LAST, b.panel, b.target, b.seed, b.method, b.profile
LIMIT 1
"""
_REFERENCES = (("ridge", "m224"), ("gr2st", "ours"))
"""What methods are compared with (``gr2st_core.evaluation.comparisons.REFERENCES``), the baseline first."""


@dataclass(frozen=True)
class Subject:
    """A method under its panel, target and seed, and how its scores were obtained.

    Attributes
    ----------
    unit
        What was held out for the headline: patients wherever there are folds of patients.
    event
        Promotion by which it serves; None if no served model has scores here and it is only the best that has.
    settings_digest, model_id
        Of the served model; None without one.
    """

    cohort: str
    panel: str
    target: str
    seed: int
    unit: str
    method: str
    profile: str
    event: int | None
    settings_digest: str | None
    model_id: str | None

    @property
    def name(self) -> str:
        """Name in the registry of methods."""
        return f"{self.method}_{self.profile}"

    @property
    def held_out(self) -> str:
        """The unit in words."""
        return "whole cohort" if self.unit == "external" else self.unit

    @property
    def than(self) -> tuple[str, str]:
        """Method and profile of the reference that differences are shown against."""
        return next(each for each in _REFERENCES if each != (self.method, self.profile))

    def asking(self, ask: Ask) -> Asking:
        """Ask about it: its fields are the values of ``$field``."""
        values: dict[str, Any] = asdict(self)
        method, profile = self.than
        return Asking(ask, {**values, "than_method": method, "than_profile": profile})


def cohorts(ask: Ask) -> list[str]:
    """Cohorts that have a scoreboard, sorted."""
    return [row["cohort"] for row in Asking(ask, {})(_COHORTS).rows]


def subject(ask: Ask, cohort: str) -> Subject:
    """Find what the report of a cohort is about; the cohort has a scoreboard."""
    (row,) = Asking(ask, {"cohort": cohort})(_SUBJECT).rows
    return Subject(cohort, **row)
