"""A synthetic cohort with a known answer, for the demo and for tests.

Belongs here: the cohort as a whole. Does not belong here: a section's tissue, image, genes, counts and files
(``synthetic_*``); how well a perfect predictor would do (``synthetic_ceiling``).
"""

from __future__ import annotations

import string
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gr2st_core.cohorts.synthetic_files import (
    TRUTH_FOLDER,
    TRUTH_README,
    proportion_table,
    write_patients,
    write_proportions,
    write_section,
)
from gr2st_core.cohorts.synthetic_genes import draw_programmes
from gr2st_core.cohorts.synthetic_section import draw_section
from gr2st_core.errors import SettingsError


def silent(label: str, done: int, total: int) -> None:
    """Report nothing."""


def make_synthetic_cohort(
    folder: Path,
    *,
    n_patients: int = 4,
    sections_per_patient: int = 2,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = silent,
) -> None:
    """Write a cohort in the her2st layout, with what was planted below ``truth``.

    Tissue decides both what the image shows and what the spots express, by the same rule in all patients but for a
    level of each gene that is the patient's own. Sections of a patient are alike in layout and stain.

    Parameters
    ----------
    folder
        Must not exist or be empty. Appears with all its files at once; an interrupted run leaves none there.
    n_patients
        Patients ``A``, ``B``, ...; from the 27th on ``AA``, ``AB``, ..., named in ``patients.tsv``.
    seed
        Equal seeds give equal bytes; a section does not depend on how many others are made.
    progress
        Called with a label, the sections done and the sections in all.

    Raises
    ------
    SettingsError
        No patient or section is asked for, or ``folder`` holds files.
    """
    if n_patients < 1 or sections_per_patient < 1:
        raise SettingsError("a cohort has patients and sections", found=(n_patients, sections_per_patient))
    if folder.exists() and any(folder.iterdir()):
        raise SettingsError("the folder of a new cohort must be empty", file=folder)
    final = folder.resolve()
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=f".{final.name}-") as scratch:
        unfinished = Path(scratch) / final.name
        _write_cohort(unfinished, n_patients, sections_per_patient, seed, progress)
        unfinished.rename(final)


def is_synthetic(folder: Path) -> bool:
    """Tell whether this module made a cohort folder: beside the sections lies what was planted in them."""
    path, mark = folder / TRUTH_FOLDER / "README", TRUTH_README.partition("\n")[0].encode()
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(mark)) == mark


def _write_cohort(
    folder: Path, n_patients: int, sections_per_patient: int, seed: int, progress: Callable[[str, int, int], None]
) -> None:
    programmes = draw_programmes(np.random.default_rng([seed, 0]))
    names = section_names(n_patients, sections_per_patient)
    proportions = []
    for done, (name, patient) in enumerate(names.items(), start=1):
        p, s = divmod(done - 1, sections_per_patient)
        section = draw_section(name, patient, patient=p, section=s, programmes=programmes, seed=seed)
        write_section(folder, section)
        proportions.append((name, proportion_table(section, np.random.default_rng([seed, 9, p, s + 1]))))
        progress("synthetic sections", done, len(names))
    write_proportions(folder, proportions)
    (folder / TRUTH_FOLDER / "README").write_text(TRUTH_README, encoding="utf-8")
    if n_patients > len(string.ascii_uppercase):
        write_patients(folder, names.items())


def section_names(n_patients: int, sections_per_patient: int) -> dict[str, str]:
    """Name the sections, each with its patient: ``A1``, ``A2``, ``B1``, ..."""
    patients = [_letters(number) for number in range(n_patients)]
    return {f"{patient}{s + 1}": patient for patient in patients for s in range(sections_per_patient)}


def _letters(number: int) -> str:
    """Count in letters: A, B, ..., Z, AA, AB, ..."""
    letters = ""
    number += 1
    while number:
        number, last = divmod(number - 1, len(string.ascii_uppercase))
        letters = string.ascii_uppercase[last] + letters
    return letters
