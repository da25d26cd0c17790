"""Which methods are compared with which, and the table that comes of it.

Belongs here: families of comparisons with one reference, corrected together. Does not belong here: the bootstrap
(``bootstrap``), the correction (``multiplicity``), reading predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from gr2st_core.evaluation.bootstrap import DrawnScores, compare
from gr2st_core.evaluation.multiplicity import holm

REFERENCES = ("gr2st_ours", "ridge_m224")
"""The named model, and the baseline to beat."""

COLUMNS = (
    "a", "b", "difference", "low", "high", "p_value", "p_holm", "n_patients", "n_sections", "sections_above",
    "n_draws", "is_population", "scope",
)  # fmt: skip


def compare_with_references(
    sections: Sequence[DrawnScores], *, seed: int, references: Sequence[str] = REFERENCES
) -> pd.DataFrame:
    """Compare every method with each reference over the sections of one cohort, unit, panel, target and seed.

    Parameters
    ----------
    sections
        Scores of the same methods; one that lacks in a section is not compared.

    Returns
    -------
    ``COLUMNS``, one row per method and reference; a family for Holm's correction is all methods with one reference.
    """
    defined = [s for s in sections if not all(np.isnan(value) for value in s.measured.values())]
    common = set.intersection(*(set(s.measured) for s in defined)) if defined else set()
    families = [_family(defined, sorted(common - {b}), b, seed) for b in references if b in common]
    rows = [family for family in families if len(family)]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=list(COLUMNS))


def _family(sections: Sequence[DrawnScores], names: Sequence[str], reference: str, seed: int) -> pd.DataFrame:
    rows = []
    for name in names:
        found = compare(sections, name, reference, seed=seed)
        facts = {field: getattr(found, field) for field in COLUMNS if hasattr(found, field)}
        rows.append({"a": name, "b": reference, "n_draws": len(sections[0].draws[name]), **facts})
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table.p_value))[list(COLUMNS)] if rows else table


def by_training_patients(sections: Mapping[bool, Sequence[DrawnScores]]) -> dict[str, list[DrawnScores]]:
    """Group sections as the scoreboard does: all, and where both are there, mates and strangers apart.

    Parameters
    ----------
    sections
        By whether the section's patient is in training.
    """
    mates, strangers = list(sections.get(True, ())), list(sections.get(False, ()))
    groups = {"all": [*mates, *strangers]}
    return {**groups, "mates": mates, "strangers": strangers} if mates and strangers else groups
