"""What the scores of both studies average to.

Belongs here: means over sections of each change, beside the base. Does not belong here: scores, trainings.
"""

from __future__ import annotations

import pandas as pd

from gr2st_core.evaluation.averages import mean_over_sections

GROUP = ["cohort", "split_unit", "panel", "target", "seed", "study", "parameter", "setting"]


def with_differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Add ``difference``: score of the change minus that of the base on the same genes of the same section."""
    return rows.assign(difference=rows.pearson - rows.pearson_base)


def average_studies(rows: pd.DataFrame) -> pd.DataFrame:
    """Average every change over the sections of its folds, sections alike.

    Parameters
    ----------
    rows
        Rows of ``evaluation/ablation`` and ``evaluation/sensitivity`` of complete fold sets, one a change and section.

    Returns
    -------
    ``GROUP``, value, n_sections, n_patients, sections_of_base, pearson, difference (both means over sections), the
    lowest and highest of both, and sections_below, in which the change scores below the base. Undefined scores are
    left out; in a group without any the mean is NaN.

    Raises
    ------
    SchemaError
        A section has two rows in one group.
    """
    known = with_differences(rows)
    means = mean_over_sections(known, GROUP, ["pearson", "difference"])
    groups = known.assign(below=known.difference < 0).groupby(GROUP)
    others = groups.agg(
        value=("value", "first"),
        sections_of_base=("is_base", "sum"),
        pearson_min=("pearson", "min"),
        pearson_max=("pearson", "max"),
        difference_min=("difference", "min"),
        difference_max=("difference", "max"),
        sections_below=("below", "sum"),
    )
    return means.merge(others.reset_index(), on=GROUP)
