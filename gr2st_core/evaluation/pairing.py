"""Scores of two predictors on the same patients, sections, spots and genes.

Belongs here: refusing scores that are not out of fold, taking the common part, means per patient. Does not belong
here: what follows from the differences (``promotion``), scores themselves (``metrics``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gr2st_core.errors import LeakageError, SchemaError

SCORE = "pearson_zero_filled"
KEY = ["cohort", "patient_id", "section_id", "n_spots", "gene"]
"""Rows of two predictors are compared where all of these agree: other spots, or another patient, are another row."""


@dataclass(frozen=True, slots=True)
class Paired:
    """Mean scores per patient, over genes and then sections that both have.

    Attributes
    ----------
    patients
        ``cohort/patient``, sorted.
    challenger, opponent
        Score of each patient, in the order of ``patients``.
    n_sections, n_genes
        Distinct ones in the common part; genes are 0 where scores are of whole sections.
    n_left_out
        Pairs of section and gene that only one of the two has.
    patients_left_out
        Patients that only one of the two has.
    """

    patients: tuple[str, ...]
    challenger: tuple[float, ...]
    opponent: tuple[float, ...]
    n_sections: int
    n_genes: int
    n_left_out: int = 0
    patients_left_out: tuple[str, ...] = ()

    @property
    def gains(self) -> NDArray[np.float64]:
        """Challenger minus opponent, shape ``(n_patients,)``."""
        return np.asarray(self.challenger, dtype=np.float64) - np.asarray(self.opponent, dtype=np.float64)


def require_out_of_fold(rows: pd.DataFrame, model_id: str, trained_on: Collection[str]) -> None:
    """Refuse scores of patients that the scored model, or the served fit if it is that, was trained on.

    Parameters
    ----------
    rows
        Of ``evaluation/gene_scores``: besides ``KEY``, ``split_unit``, ``patient_in_training`` and ``model_id``.
    model_id, trained_on
        The fit that would be served, and its training patients as ``cohort/patient``. It may be scored on others.

    Raises
    ------
    LeakageError
        Names the patients.
    """
    people = _people(rows)
    recalled = rows.patient_in_training | (rows.split_unit == "all")
    served = (rows.model_id == model_id) & people.isin(list(trained_on))
    if leaked := sorted(set(people[recalled | served])):
        raise LeakageError(
            "a model is judged by patients that it never saw",
            field="patient_id",
            found=leaked,
            expected="out-of-fold scores",
        )


def patient_scores(rows: pd.DataFrame, score: str = SCORE) -> pd.Series[float]:
    """Mean over the genes of each section, then over the sections of each patient; undefined scores left out.

    Parameters
    ----------
    rows
        One row a section, or a section and gene: ``cohort``, ``patient_id``, ``section_id`` and the score.

    Returns
    -------
    By ``cohort/patient``, sorted.
    """
    known = rows.dropna(subset=[score])
    sections = known[score].groupby([_people(known), known.section_id]).mean()
    return sections.groupby(level=0).mean().sort_index()


def pair(challenger: pd.DataFrame, opponent: pd.DataFrame) -> Paired:
    """Compare on the sections, spots and genes that both scored.

    Parameters
    ----------
    challenger, opponent
        ``KEY`` and ``pearson_zero_filled``, one row a section and gene, in any order; undefined scores are left out.

    Raises
    ------
    SchemaError
        A section and gene is scored twice.
    """
    ours, theirs = _scored_once(challenger), _scored_once(opponent)
    both = ours.merge(theirs, on=KEY, suffixes=("", "_opponent"))
    left, right = patient_scores(both), patient_scores(both, f"{SCORE}_opponent")
    apart = (set(_people(ours)) | set(_people(theirs))) - set(left.index)
    return Paired(
        tuple(left.index),
        tuple(map(float, left)),
        tuple(map(float, right.loc[left.index])),
        len(both[["cohort", "section_id"]].drop_duplicates()),
        int(both.gene.nunique()),
        len(ours) + len(theirs) - 2 * len(both),
        tuple(sorted(apart)),
    )


def pair_with_control(rows: pd.DataFrame, shuffled: pd.DataFrame) -> Paired:
    """Compare a predictor with its own score after the spots of every section are exchanged.

    Parameters
    ----------
    rows
        As in `pair`.
    shuffled
        ``pearson_shuffled`` of its sections. A prediction that is constant has none, which counts as 0.
    """
    ours = patient_scores(rows)
    control = patient_scores(shuffled.fillna({"pearson_shuffled": 0.0}), "pearson_shuffled").reindex(ours.index)
    if control.isna().any():
        raise SchemaError("every scored patient has a control", field="pearson_shuffled", found=list(control.index))
    n_sections = len(rows[["cohort", "section_id"]].drop_duplicates())
    return Paired(tuple(ours.index), tuple(map(float, ours)), tuple(map(float, control)), n_sections, 0)


def _people(rows: pd.DataFrame) -> pd.Series[str]:
    return (rows.cohort.astype(str) + "/" + rows.patient_id.astype(str)).rename("patient")


def _scored_once(rows: pd.DataFrame) -> pd.DataFrame:
    known = rows.dropna(subset=[SCORE])[[*KEY, SCORE]]
    if known.duplicated(["cohort", "section_id", "gene"]).any():
        twice = known[known.duplicated(["cohort", "section_id", "gene"])].iloc[0]
        raise SchemaError(
            "a section and gene is scored once", section=f"{twice.cohort}/{twice.section_id}", found=twice.gene
        )
    return known
