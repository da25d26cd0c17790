"""The scoreboard: section scores averaged over sections and over patients, strangers and mates apart.

Belongs here: how groups are formed and averaged. Does not belong here: any score, intervals, rankings.
"""

from __future__ import annotations

import pandas as pd

from gr2st_core.evaluation.averages import mean_over_patients, mean_over_sections

GROUP = ["cohort", "split_unit", "panel", "target", "seed", "method", "profile", "training_patients"]
AVERAGED = [
    "pearson",
    "pearson_zero_filled",
    "spearman",
    "pearson_equal_depth",
    "mse",
    "mae",
    "section_mean_error",
    "ceiling",
    "ceiling_given_depth",
    "pearson_shuffled",
    "pearson_top",
    "r2_median",
    "variance_ratio_median",
    "moran_observed",
    "moran_predicted",
    "moran_error",
    "moran_correlation",
    "pearson_spot",
    "pearson_spot_centred",
    "top_gene_recall",
    "raised_gene_recall",
    "gr2st_share",
]
DIAGNOSTIC = "oracle"
"""Method that reads the test counts: shown beside the methods, never ranked with them."""


def scoreboard(scores: pd.DataFrame) -> pd.DataFrame:
    """Average section scores into one row per cohort, split unit, panel, target, seed, method and group of patients.

    Parameters
    ----------
    scores
        One row per held-out section and method, with ``patient_in_training``.

    Returns
    -------
    Means over sections; ``pearson_patients`` gives every patient equal weight, ``pearson_min`` and ``pearson_max``
    are over sections, ``n_undefined`` is the sum. ``training_patients`` is ``all``, and where a unit has both,
    ``mates`` (the section's patient is in training) and ``strangers`` apart, since these are different questions.
    """
    apart = scores.assign(training_patients=scores.patient_in_training.map({True: "mates", False: "strangers"}))
    units = ["cohort", "split_unit"]
    mixed = apart.groupby(units).training_patients.transform("nunique") > 1
    rows = pd.concat([scores.assign(training_patients="all"), apart[mixed]])
    board = mean_over_sections(rows, GROUP, AVERAGED)
    patients = mean_over_patients(rows, GROUP, ["pearson"])[[*GROUP, "pearson"]]
    groups = rows.groupby(GROUP)
    spread = groups.agg(
        pearson_min=("pearson", "min"), pearson_max=("pearson", "max"), n_undefined=("n_undefined", "sum")
    ).reset_index()
    board = board.merge(patients.rename(columns={"pearson": "pearson_patients"}), on=GROUP).merge(spread, on=GROUP)
    return board.assign(is_diagnostic=board.method == DIAGNOSTIC)
