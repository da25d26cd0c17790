"""Which sections a folder of AnnData files holds, and whose they are.

Belongs here: names, patients, images beside the files, safety of files. Does not belong here: counts, positions, scale
(``anndata_reader``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from gr2st_core.cohorts.anndata_parts import AnnDataParts, is_anndata
from gr2st_core.cohorts.anndata_sample import patients_in
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import require_inside
from gr2st_core.cohorts.listing import Listing, check_inside, check_one
from gr2st_core.cohorts.patient_names import PatientIds
from gr2st_core.cohorts.records import IMAGE, SectionEntry
from gr2st_core.cohorts.scale import facts_file
from gr2st_core.containers.embedded_image import embedded_image
from gr2st_core.containers.hdf5_guard import open_hdf5
from gr2st_core.keys import SectionKey
from gr2st_core.settings import DEFAULT_LIMITS

SAMPLE = "sample"
"""Role of the file or store of a section."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ome.tif", ".ome.tiff", ".tif", ".tiff", ".svs")
_SUFFIXES = (".h5ad", ".h5")


def list_files(folder: Path) -> list[Path]:
    """Files of ``folder`` that could be AnnData by their names, sorted."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)


class AnnDataListing(Listing[list[Path]]):
    """Lists the files of a folder by section, which is what they are called."""

    def find(self) -> Mapping[str, list[Path]]:
        """Files by their names without the suffix."""
        found: dict[str, list[Path]] = defaultdict(list)
        for file in list_files(self.folder):
            found[file.stem].append(file)
        self._ids = PatientIds(self.folder, self.patients)
        return found

    def entry(self, key: SectionKey, found: list[Path], faults: Faults) -> SectionEntry | None:
        """Make the entry of a section from its one file, and the image beside it or in it."""
        check_one("file", found, faults, file=self.folder)
        file = require_inside(found[0], self.folder)
        annotations = self.labels_of(key.section_id)
        check_inside(annotations.values(), self.folder, faults)
        image = _image_beside(file, self.folder, faults)
        with open_hdf5(file) as root:
            if not is_anndata(root):
                names = sorted(root.keys())[:10]
                faults.add("a file holds no AnnData object", file=file, found=names, expected="groups X, obs and var")
                return None
            obs = AnnDataParts(root, file, faults, DEFAULT_LIMITS).table("obs")
            if image is None and embedded_image(root, file) is not None:
                image = file
        if len(faults):
            return None
        patient = self._ids.of(
            key.section_id, [] if obs is None else patients_in(obs), faults, source="a column of obs"
        )
        files = {SAMPLE: file, **({} if image is None else {IMAGE: image}), **facts_file(self.folder)}
        return None if patient is None else SectionEntry(key, patient, files, annotations)


def _image_beside(file: Path, folder: Path, faults: Faults) -> Path | None:
    images = [path for path in sorted(folder.iterdir()) if _stem_of_image(path) == file.stem]
    check_inside(images, folder, faults)
    if images:
        check_one("image", images, faults, file=folder)
    return images[0] if images else None


def _stem_of_image(path: Path) -> str | None:
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if path.name.lower().endswith(suffix)), None)
    return None if suffix is None else path.name[: -len(suffix)]
