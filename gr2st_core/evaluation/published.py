"""The literature's scores, as published, with what each was made under.

Belongs here: reading ``published_scores.csv``. Does not belong here: scores of our own runs (``scoreboard``).

The file was typed from the publications' tables and code releases: printed numbers, means computed from released
per-gene arrays, and box plots and bars that were digitised (error of a median about 0.0006). ``target`` is what the
method's code defines, which is not always what its authors compare. Nothing here is a target to be reached: units of
splitting, panels and normalisations differ, and some numbers were chosen on the test fold.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

import pandas as pd

_FILE = "published_scores.csv"
STATISTICS = ("mean", "median", "lower_quartile", "upper_quartile")
"""Over genes; of a row without a section, then the mean over sections."""
EVIDENCE = ("printed", "computed", "digitised", "second_hand")
"""Printed by the authors, computed from their arrays, read off a figure, or quoted from others' notes."""


def published_digest() -> str:
    """SHA-256 of the file."""
    return hashlib.sha256((files(__package__) / _FILE).read_bytes()).hexdigest()


def published_scores() -> pd.DataFrame:
    """Read every published score.

    Returns
    -------
    entry (line in the file, from 1), publication (short name), citation, method, profile, dataset, section, statistic,
    genes, target, split_unit, has_selection_leak, evidence, value, note. What does not apply or is not
    known is None: section over all sections, target and has_selection_leak where nobody says.
    """
    with (files(__package__) / _FILE).open(encoding="utf-8") as stream:
        table = pd.read_csv(stream, dtype=str, keep_default_na=False)
    table = table.replace("", None)
    leak = table.has_selection_leak.map({"true": True, "false": False}).astype("boolean")
    table.insert(0, "entry", range(1, len(table) + 1))
    return table.assign(has_selection_leak=leak, value=table.value.astype("float64"))
