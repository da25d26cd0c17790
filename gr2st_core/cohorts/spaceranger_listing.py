"""Which sections a folder of Space Ranger samples holds, and where their files are.

Belongs here: what makes a folder a sample, which of its matrices and bins is read, its patient. Does not belong here:
what the files contain, but for whether an HDF5 file is a 10x matrix at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gr2st_core.cohorts.cohort_file import COHORT_FILE, read_cohort_file
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.patients import PATIENTS_FILE, read_patients
from gr2st_core.cohorts.records import COUNTS, SectionEntry
from gr2st_core.cohorts.regions import REGIONS, region_files
from gr2st_core.cohorts.spaceranger_declared import PROBE_HINT
from gr2st_core.cohorts.spaceranger_matrix import holds_10x_matrix
from gr2st_core.cohorts.visium_files import (
    POSITION_NAMES,
    SCALE_NAME,
    FoundSection,
    images_in,
    make_entry,
    spatial_files,
)
from gr2st_core.errors import DataError, MissingArtifactError
from gr2st_core.types import SectionKey

MATRIX = "filtered_feature_bc_matrix"
BINS_FOLDER = "binned_outputs"
DEFAULT_BIN_UM = 16
_BIN = re.compile(r"square_([0-9]{3})um")
_OTHER_H5 = ("raw_", "molecule_info", "probe", "feature_slice", "cell_matrix")


def list_samples(name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
    """List the sections of cohort ``name``, sorted by key, and the faults found.

    A sample's folder names its section; where the cohort folder itself is the sample, the cohort does. The patient is
    what ``patients.tsv`` says and nothing else. Of Visium HD the bins of ``bin_um`` in ``cohort.yml`` are read, without
    it those of 16 um, or the coarsest below.

    Raises
    ------
    SchemaError
        If ``name`` cannot name a cohort.
    """
    SectionKey(name, "any")
    faults = Faults(cohort=name)
    patients = read_patients(folder, faults)
    bin_um = read_cohort_file(folder, faults).bin_um
    if len(faults):
        return [], faults.found
    samples = (
        {name: folder} if is_sample(folder) else {path.name: path for path in subfolders(folder) if is_sample(path)}
    )
    note_unknown(patients, sorted(samples), folder, faults)
    labels = region_files(folder)
    entries = []
    for section, path in sorted(samples.items()):
        section_faults = Faults(section=f"{name}/{section}")
        found = replace(_find(section, path, bin_um, section_faults), annotations=labels_of(section, labels))
        entry = make_entry(name, found, folder, patients.get(section), section_faults)
        faults.found.extend(section_faults.found)
        if entry is not None and not len(section_faults):
            entries.append(entry)
    return entries, faults.found


def subfolders(folder: Path) -> list[Path]:
    """Folders right in a folder, but for hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def is_sample(folder: Path) -> bool:
    """Tell whether a folder looks like the output of Space Ranger, complete or not."""
    outs = _outs(folder)
    spatial = outs / "spatial"
    return (
        (outs / BINS_FOLDER).is_dir()
        or any((spatial / file).is_file() for file in (SCALE_NAME, *POSITION_NAMES))
        or any(_is_matrix_name(path.name) for path in outs.iterdir())
    )


def labels_of(section: str, labels: Mapping[str, Path]) -> dict[str, Path]:
    """Annotation of a section by kind: its label file, if it has one."""
    return {REGIONS: labels[section]} if section in labels else {}


def note_unknown(patients: Mapping[str, str], sections: list[str], folder: Path, faults: Faults) -> None:
    """Note sections that only the patient table knows."""
    if unknown := sorted(set(patients) - set(sections)):
        faults.add(
            "the patient table names sections that the folder does not hold",
            file=folder / PATIENTS_FILE,
            field="section_id",
            found=unknown[:10],
            expected=sections[:10],
        )


def _outs(folder: Path) -> Path:
    return folder / "outs" if (folder / "outs").is_dir() else folder


def _is_matrix_name(name: str) -> bool:
    return name.endswith((f"{MATRIX}.h5", MATRIX, "raw_probe_bc_matrix.h5"))


def _find(section: str, folder: Path, bin_um: int | None, faults: Faults) -> FoundSection:
    outs = _outs(folder)
    inner = _bin_folder(outs / BINS_FOLDER, bin_um, faults) if (outs / BINS_FOLDER).is_dir() else outs
    fullres = [image for place in dict.fromkeys((folder, outs)) for image in images_in(place)]
    if inner is None:
        return FoundSection(section, outs, {}, fullres)
    files = spatial_files(dict.fromkeys((inner / "spatial", outs / "spatial")))
    counts = _find_matrix(inner, faults)
    return FoundSection(section, inner, {**files, **({COUNTS: counts} if counts else {})}, fullres)


def _bin_folder(folder: Path, bin_um: int | None, faults: Faults) -> Path | None:
    bins = {int(match[1]): path for path in subfolders(folder) if (match := _BIN.fullmatch(path.name))}
    small = [size for size in bins if size <= DEFAULT_BIN_UM]
    chosen = bin_um if bin_um is not None else max(small, default=DEFAULT_BIN_UM)
    if chosen not in bins:
        faults.add(
            "a sample has no bins of the size that is read",
            MissingArtifactError,
            file=folder,
            field="bin_um",
            found=sorted(bins),
            expected=chosen,
            hint=f"state one of the sizes found in {COHORT_FILE}: bin_um: {min(bins, default=DEFAULT_BIN_UM)}",
        )
    return bins.get(chosen)


def _find_matrix(outs: Path, faults: Faults) -> Path | None:
    """The matrix of genes under tissue: by its name, else the only HDF5 file that is such a matrix."""
    names = sorted(path.name for path in outs.iterdir())
    for suffix in (f"{MATRIX}.h5", MATRIX):
        if found := [name for name in names if name.endswith(suffix)]:
            if len(found) > 1:
                faults.add("a section has more than one count matrix", file=outs, field=COUNTS, found=found)
            return outs / found[0]
    others = [name for name in names if name.endswith(".h5") and not any(part in name for part in _OTHER_H5)]
    matrices = [name for name in others if (outs / name).is_file() and holds_10x_matrix(outs / name)]
    if len(matrices) == 1:
        return outs / matrices[0]
    probes = [name for name in names if "probe" in name and name.endswith(".h5")]
    faults.add(
        "a section has only a matrix of probes, not of genes" if probes else "a section has no count matrix",
        MissingArtifactError,
        file=outs / (probes[0] if probes else f"{MATRIX}.h5"),
        field=COUNTS,
        found=names[:20],
        expected=f"{MATRIX}.h5 or {MATRIX}/",
        hint=PROBE_HINT if probes else None,
    )
    return None
