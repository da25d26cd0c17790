"""Which genes a model predicts, and in which order.

Belongs here: choosing a panel from training sections, reading one from a file, leaving out what was never measured.
Does not belong here: the HVG tables themselves (``hvg``), the prespecified list (``breast_markers``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from gr2st_core.errors import MissingArtifactError, PanelError
from gr2st_core.keys import SectionKey
from gr2st_core.settings import PanelSettings
from gr2st_core.types import Panel


def fold_safe_panel(
    tables: Mapping[SectionKey, pd.DataFrame], patients: Mapping[SectionKey, str], settings: PanelSettings
) -> Panel:
    """Choose highly variable, widely detected, recurrent genes from training sections.

    A gene qualifies if it is in the top ``settings.n_top`` of at least one training patient, ranked by its mean HVG
    rank over the patient's sections, and has molecules in at least ``settings.min_detected`` of all training spots.
    Those in the top of most patients come first, then those with the better mean rank, then by symbol; at most
    ``settings.n_genes`` are taken.

    Parameters
    ----------
    tables
        ``hvg_table`` of every training section and of no other. A gene that a section lacks counts there as
        undetected, and is ranked behind all that vary in it.
    patients
        Donor of each section of ``tables``; donors of equal id in different cohorts are different.

    Raises
    ------
    MissingArtifactError
        A section without a donor.
    PanelError
        No section, or no gene that qualifies.

    Notes
    -----
    Source: the published panel cannot be derived by its published recipe and saw the test sections. This one sees
    training patients only.
    """
    if missing := sorted(str(key) for key in tables if key not in patients):
        raise MissingArtifactError("training sections without a patient", found=missing)
    by_section = {key: tables[key].set_index("gene") for key in sorted(tables)}
    if not by_section:
        raise PanelError("a fold-safe panel needs training sections", panel="fold_safe")
    detected = _detected_share(by_section)
    ranks = _patient_ranks(by_section, patients)
    recurrence = (ranks.rank(method="first") <= settings.n_top).sum(axis=1)
    behind = ranks.fillna(ranks.max() + 1)
    candidates = pd.DataFrame({"recurrence": recurrence, "rank": behind.mean(axis=1), "detected": detected})
    qualified = candidates[(candidates["recurrence"] > 0) & (candidates["detected"] >= settings.min_detected)]
    if qualified.empty:
        raise PanelError(
            "no gene of the training sections is both variable and detected widely enough",
            panel="fold_safe",
            expected=f"{settings.min_detected:.0%} of spots",
            found=f"{detected.max():.1%} at most",
            hint="lower panel.min_detected",
        )
    # A stable sort of rows that are in order of symbol leaves ties in that order.
    ordered = qualified.sort_values(["recurrence", "rank"], ascending=[False, True], kind="stable")
    return Panel("fold_safe", tuple(ordered.index[: settings.n_genes]))


def panel_from_file(path: Path) -> Panel:
    """Read a fixed panel: one symbol a line, in order; a line that starts with ``#`` is a comment.

    Returns
    -------
    Named by the file's stem in lower case, other characters than letters and digits as ``_``.

    Raises
    ------
    PanelError
        Blank, doubled or malformed symbols, listed by line; no symbol at all; not UTF-8.
    MissingArtifactError
        No such file.
    """
    name = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")
    if not path.is_file():
        raise MissingArtifactError("panel file not found", file=path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise PanelError("a panel file is UTF-8 text", file=path) from error
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1) if not line.startswith("#")]
    times = Counter(symbol for _, symbol in numbered)
    faults = [
        f"line {number}: {symbol or 'blank'}"
        for number, symbol in numbered
        if times[symbol] > 1 or not re.fullmatch(r"[\x21-\x7e]{1,64}", symbol)
    ]
    if faults or not name:
        raise PanelError("a panel file lists each symbol once, one a line", file=path, found=faults[:10] or repr(name))
    return Panel(name, tuple(symbol for _, symbol in numbered))


def restrict(panel: Panel, measured: Collection[str]) -> tuple[Panel, tuple[str, ...]]:
    """Leave out genes that no training section measured.

    Parameters
    ----------
    measured
        Genes of any training section.

    Returns
    -------
    panel
        The measured genes in the panel's order, under its name.
    missing
        The others, in the panel's order.

    Raises
    ------
    PanelError
        Nothing is left.
    """
    known = set(measured)
    missing = tuple(gene for gene in panel.genes if gene not in known)
    if len(missing) == len(panel):
        raise PanelError("no gene of the panel was measured in training", panel=panel.name, found=missing[:10])
    return Panel(panel.name, tuple(gene for gene in panel.genes if gene in known)), missing


def _detected_share(by_section: Mapping[SectionKey, pd.DataFrame]) -> pd.Series[float]:
    spots = sum(int(table["n_spots"].iloc[0]) for table in by_section.values())
    detected = pd.concat([table["detected_spots"] for table in by_section.values()])
    share: pd.Series[float] = detected.groupby(level=0).sum() / spots
    return share


def _patient_ranks(by_section: Mapping[SectionKey, pd.DataFrame], patients: Mapping[SectionKey, str]) -> pd.DataFrame:
    """Mean rank over each patient's sections: genes in order of symbol x patients in order of id.

    A gene without variation in a section is ranked behind all others there; NaN where it varies in no section.
    """
    varying = {str(key): table["rank"].where(table["dispersion_norm"].notna()) for key, table in by_section.items()}
    ranks = pd.DataFrame(varying).sort_index()
    donor = [f"{key.cohort}/{patients[key]}" for key in by_section]
    varies = ranks.notna().T.groupby(donor).any().T
    return ranks.fillna(ranks.max() + 1).T.groupby(donor).mean().T.where(varies)
