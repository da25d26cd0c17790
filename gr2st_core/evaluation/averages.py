"""Averages of section scores: over sections, and over patients of equal weight.

Belongs here: from one row a section to one row a group. Does not belong here: scores of a section (``metrics``),
intervals, rankings.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from gr2st_core.errors import SchemaError

PATIENT = ["cohort", "patient_id"]


def mean_over_sections(scores: pd.DataFrame, by: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Average every section alike, as the literature does.

    Parameters
    ----------
    scores
        One row a section and group, with cohort, section_id and patient_id.
    by
        Columns that make a group; sorted in the result.
    columns
        Scores to average; an undefined score (NaN) is left out of its mean.

    Returns
    -------
    ``by``, n_sections, n_patients, ``columns``; one row a group.

    Raises
    ------
    SchemaError
        A column is missing, or a section has two rows in one group.
    """
    _require_one_row_per_section(scores, by, columns)
    return _mean(scores, by, columns).join(_sizes(scores, by)).reset_index()[_order(by, columns)]


def mean_over_patients(scores: pd.DataFrame, by: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Average the sections of each patient, then the patients alike; parameters and errors as `mean_over_sections`."""
    _require_one_row_per_section(scores, by, columns)
    patients = _mean(scores, [*by, *_beyond(by)], columns).reset_index()
    return _mean(patients, by, columns).join(_sizes(scores, by)).reset_index()[_order(by, columns)]


def _mean(scores: pd.DataFrame, by: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    return scores.groupby(list(by), dropna=False)[list(columns)].mean()


def _sizes(scores: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Sections and patients of each group."""
    groups = scores.groupby(list(by), dropna=False)
    people = scores.drop_duplicates([*by, *_beyond(by)]).groupby(list(by), dropna=False)
    return pd.DataFrame({"n_sections": groups.size(), "n_patients": people.size()})


def _beyond(by: Sequence[str]) -> list[str]:
    """Columns that tell patients apart within a group."""
    return [name for name in PATIENT if name not in by]


def _order(by: Sequence[str], columns: Sequence[str]) -> list[str]:
    return [*by, "n_sections", "n_patients", *columns]


def _require_one_row_per_section(scores: pd.DataFrame, by: Sequence[str], columns: Sequence[str]) -> None:
    identity = list(dict.fromkeys([*by, "cohort", "section_id"]))
    if missing := [name for name in (*identity, "patient_id", *columns) if name not in scores.columns]:
        raise SchemaError("section scores lack columns", field=missing, found=list(scores.columns))
    doubled = scores[scores.duplicated(identity)]
    if len(doubled):
        first = doubled.iloc[0][identity].to_dict()
        raise SchemaError("a section has one row in a group", section=first, found=len(doubled), hint="group by fold")
