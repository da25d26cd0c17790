"""How well a perfect predictor would do on the synthetic cohort.

Belongs here: the score of the planted rates against the drawn counts. Does not belong here: estimates of the ceiling
from counts alone (``evaluation``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from gr2st_core.cohorts.her2st import Her2stReader
from gr2st_core.cohorts.synthetic_files import TRUTH_FOLDER
from gr2st_core.errors import MissingArtifactError, PanelError
from gr2st_core.types import FloatArray, Panel


def synthetic_ceiling(folder: Path, panel: Panel) -> float:
    """Mean over genes, then over sections, of ``ceiling_table``; undefined correlations do not count.

    Raises
    ------
    DataError
        See ``ceiling_table``.
    """
    return float(ceiling_table(folder, panel).groupby("section_id")["pearson"].mean().mean())


def ceiling_table(folder: Path, panel: Panel) -> pd.DataFrame:
    """Correlate, gene by gene and section by section, the planted rates with the drawn counts, both per_spot.

    Returns
    -------
    Columns ``section_id``, ``gene``, ``pearson``; NaN where a gene has the same value in all spots of a section.

    Raises
    ------
    MissingArtifactError
        The folder does not hold what was planted.
    PanelError
        The panel names genes that the cohort does not have.
    DataError
        The cohort has faults.

    Notes
    -----
    The planted rates are all that tissue says of expression. Sequencing depth is left out of them; as it shifts the
    mean of log counts and depends a little on tissue, a predictor may score slightly above.
    """
    reader = Her2stReader()
    entries, faults = reader.entries("synthetic", folder)
    if faults:
        raise faults[0]
    tables = []
    for entry in entries:
        section = reader.read(entry)
        if section.counts is None:
            raise MissingArtifactError("a synthetic section has counts", section=str(entry.key), file=folder)
        rates = _planted(folder, entry.key.section_id, panel).loc[section.spot_ids.tolist()].to_numpy(np.float64)
        pearson = _pearson(_per_spot(rates), _per_spot(section.counts.of(panel).astype(np.float64)))
        tables.append(pd.DataFrame({"section_id": entry.key.section_id, "gene": panel.genes, "pearson": pearson}))
    return pd.concat(tables, ignore_index=True)


def _planted(folder: Path, section_id: str, panel: Panel) -> pd.DataFrame:
    """Planted rates of the panel's genes, rows by spot id."""
    path = folder / TRUTH_FOLDER / f"{section_id}.parquet"
    if not path.is_file():
        raise MissingArtifactError("what was planted is not stored", file=path, hint="is this a synthetic cohort?")
    planted = pd.read_parquet(path).set_index("spot_id")
    if unknown := [gene for gene in panel.genes if gene not in planted]:
        raise PanelError("the synthetic cohort lacks genes of the panel", panel=panel.name, found=unknown[:10])
    return planted[list(panel.genes)]


def _per_spot(amounts: FloatArray) -> FloatArray:
    """Compute the target ``per_spot``; ``expression``, which has it too, is built on cohorts."""
    totals = amounts.sum(axis=1, keepdims=True)
    return np.asarray(np.log10(1 + 1e4 * amounts / np.where(totals > 0, totals, 1)))


def _pearson(a: FloatArray, b: FloatArray) -> FloatArray:
    """Pearson correlation of equal columns, NaN where one is constant."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    is_defined = scale > 0
    return np.where(is_defined, (a * b).sum(axis=0) / np.where(is_defined, scale, 1), np.nan)
