"""Which sections a folder of Space Ranger samples holds, and where their files are.

Belongs here: what makes a folder a sample, which of its matrices and bins is read, its patient. Does not belong here:
what the files contain, but for whether an HDF5 file is a 10x matrix at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from gr2st_core.cohorts.cohort_file import COHORT_FILE
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.listing import Listing
from gr2st_core.cohorts.records import COUNTS, SectionEntry
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
from gr2st_core.errors import MissingArtifactError
from gr2st_core.keys import SectionKey

MATRIX = "filtered_feature_bc_matrix"
BINS_FOLDER = "binned_outputs"
DEFAULT_BIN_UM = 16
_BIN = re.compile(r"square_([0-9]{3})um")
_OTHER_H5 = ("raw_", "molecule_info", "probe", "feature_slice", "cell_matrix")


class SpaceRangerListing(Listing[Path]):
    """Lists the samples of a folder.

    A sample's folder names its section; where the cohort folder itself is the sample, the cohort does. The patient is
    what ``patients.tsv`` says and nothing else. Of Visium HD the bins of ``bin_um`` in ``cohort.yml`` are read, without
    it those of 16 um, or the coarsest below.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"bin_um"})

    def find(self) -> Mapping[str, Path]:
        """Folders of samples; one that may not be looked into counts, so that it costs its own section and says so."""
        if is_sample(self.folder):
            return {self.cohort: self.folder}
        return {path.name: path for path in subfolders(self.folder) if may_be_sample(path, closed=True)}

    def entry(self, key: SectionKey, found: Path, faults: Faults) -> SectionEntry | None:
        """Make the entry of a sample."""
        files = _find(found, self.stated.bin_um, self.labels_of(key.section_id), faults)
        return make_entry(key, files, self.folder, self.patients.get(key.section_id), faults)


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


def may_be_sample(folder: Path, *, closed: bool) -> bool:
    """Tell whether a folder is a sample; ``closed`` is the answer for one that may not be looked into."""
    try:
        return is_sample(folder)
    except PermissionError:
        return closed


def _outs(folder: Path) -> Path:
    return folder / "outs" if (folder / "outs").is_dir() else folder


def _is_matrix_name(name: str) -> bool:
    return name.endswith((f"{MATRIX}.h5", MATRIX, "raw_probe_bc_matrix.h5"))


def _find(folder: Path, bin_um: int | None, labels: Mapping[str, Path], faults: Faults) -> FoundSection:
    outs = _outs(folder)
    inner = _bin_folder(outs / BINS_FOLDER, bin_um, faults) if (outs / BINS_FOLDER).is_dir() else outs
    fullres = [image for place in dict.fromkeys((folder, outs)) for image in images_in(place)]
    if inner is None:
        return FoundSection(outs, {}, fullres, labels)
    files = spatial_files(dict.fromkeys((inner / "spatial", outs / "spatial")))
    counts = _find_matrix(inner, faults)
    return FoundSection(inner, {**files, **({COUNTS: counts} if counts else {})}, fullres, labels)


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
