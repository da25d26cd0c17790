"""The synthetic cohort on disk, in the her2st layout.

Belongs here: writing a drawn section so that equal values give equal bytes. Does not belong here: drawing.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from gr2st_core.cohorts import her2st_listing as layout
from gr2st_core.cohorts.patients import COLUMNS as PATIENT_COLUMNS
from gr2st_core.cohorts.patients import PATIENTS_FILE
from gr2st_core.cohorts.spot_table import COLUMNS as SPOT_COLUMNS
from gr2st_core.cohorts.synthetic_section import SyntheticSection

TRUTH_FOLDER = "truth"
TRUTH_README = """\
What was planted in this synthetic cohort.

<section>.parquet: one row a spot (column spot_id) and one column a gene: the share of the spot's molecules that its
tissue implies, over all genes of the cohort; a row sums to 1. Tissue is what the image shows: nothing else entered.
The counts are negative binomial draws around depth times these shares.
"""

_LABELS = ("invasive cancer", "connective tissue", "immune infiltrate", "adipose tissue", "connective tissue")
_CELL_TYPES = ("B-cells", "CAFs", "Endothelial", "Epithelial", "Myeloid", "Plasma Cells", "PVL", "T-cells")
_TYPES_OF_TISSUE = np.array(  # rows as TISSUES, columns as _CELL_TYPES
    [
        [0.01, 0.02, 0.01, 0.88, 0.04, 0.01, 0.01, 0.02],
        [0.01, 0.70, 0.07, 0.03, 0.04, 0.03, 0.10, 0.02],
        [0.24, 0.03, 0.02, 0.02, 0.16, 0.16, 0.01, 0.36],
        [0.01, 0.35, 0.25, 0.03, 0.17, 0.02, 0.15, 0.02],
        [0.01, 0.10, 0.55, 0.02, 0.03, 0.01, 0.26, 0.02],
    ]
)
_CONCENTRATION = 40.0  # of the Dirichlet noise of a deconvolution
_LEAST_DEPTH = 10  # the deconvolution leaves shallower spots out
_JPEG_QUALITY = 90
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # zip files need a date; no clock may enter the bytes


def write_section(folder: Path, section: SyntheticSection) -> None:
    """Write image, spot file, counts, region labels and truth of one section below ``folder``."""
    name = section.section_id
    image = folder / layout.IMAGES_FOLDER / section.patient_id / name / f"{name}_HE.jpg"
    image.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(section.image).save(image, quality=_JPEG_QUALITY)
    _write_text(folder / layout.SPOTS_FOLDER / f"{name}{layout.SPOTS_SUFFIX}", _spot_lines(section))
    counts = "".join(f"{line}\n" for line in _count_lines(section)).encode()
    _write_bytes(folder / layout.COUNTS_FOLDER / f"{name}{layout.COUNTS_SUFFIX}", gzip.compress(counts, 6, mtime=0))
    _write_text(folder / layout.LABELS_FOLDER / f"{name}{layout.LABELS_SUFFIX}", _label_lines(section))
    truth = pd.DataFrame(section.rates.astype(np.float32), columns=list(section.genes))
    truth.insert(0, "spot_id", spot_ids(section))
    path = folder / TRUTH_FOLDER / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    truth.to_parquet(path, engine="pyarrow", index=False)


def spot_ids(section: SyntheticSection) -> list[str]:
    """Name the spots ``AxB``."""
    return [f"{x}x{y}" for x, y in section.array_xy]


def proportion_table(section: SyntheticSection, rng: np.random.Generator) -> str:
    """Make the deconvolution of a section: what its tissues hold, with noise, in the published format."""
    mixed = np.einsum("st,tc->sc", section.shares, _TYPES_OF_TISSUE)
    draws = rng.gamma(mixed * _CONCENTRATION)
    shares = draws / draws.sum(axis=1, keepdims=True)
    kept = section.has_counts & (section.counts.sum(axis=1) >= _LEAST_DEPTH)
    rows = zip(np.array(spot_ids(section))[kept], shares[kept], strict=True)
    lines = ["\t".join(["", *_CELL_TYPES]), *("\t".join([spot, *(f"{v:.8g}" for v in row)]) for spot, row in rows)]
    return "".join(f"{line}\n" for line in lines)


def write_proportions(folder: Path, tables: Sequence[tuple[str, str]]) -> None:
    """Pack the deconvolution tables, given as section and text, into one archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for section_id, text in tables:
            archive.writestr(_member(f"major/{section_id}-proportion.tsv"), text)
    _write_bytes(folder / layout.PROPORTIONS_FOLDER / "major.zip", packed.getvalue())


def write_patients(folder: Path, patient_of: Iterable[tuple[str, str]]) -> None:
    """Write the patient table, given as section and patient."""
    _write_text(folder / PATIENTS_FILE, ["\t".join(row) for row in (PATIENT_COLUMNS, *patient_of)])


def _spot_lines(section: SyntheticSection) -> list[str]:
    rows = zip(section.array_xy, section.new_xy, section.pixel_xy, strict=True)
    return [
        "\t".join(SPOT_COLUMNS),
        *(f"{a[0]}\t{a[1]}\t{n[0]:.3f}\t{n[1]:.3f}\t{p[0]:.2f}\t{p[1]:.2f}\t1" for a, n, p in rows),
    ]


def _count_lines(section: SyntheticSection) -> list[str]:
    genes = np.array(section.genes)[section.is_listed]
    ids = np.array(spot_ids(section))[section.has_counts]
    counts = section.counts[section.has_counts][:, section.is_listed]
    rows = zip(ids, counts.astype(str), strict=True)
    return ["\t".join(["", *genes]), *("\t".join([spot, *row]) for spot, row in rows)]


def _label_lines(section: SyntheticSection) -> list[str]:
    """Label the spots by their largest tissue; as in real files one row lacks its place."""
    rows = []
    for number, (new, pixel, shares) in enumerate(zip(section.new_xy, section.pixel_xy, section.shares, strict=True)):
        name = f"{pixel[0]:.0f}x{pixel[1]:.0f}"
        place = [f"{new[0]:.3f}", f"{new[1]:.3f}", f"{pixel[0]:.2f}", f"{pixel[1]:.2f}"] if number else ["NA"] * 4
        rows.append("\t".join([name, *place, _LABELS[int(shares.argmax())]]))
    return ["\t".join(["Row.names", "x", "y", "pixel_x", "pixel_y", "label"]), *rows]


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _FIRST_DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # the same bytes from every operating system
    return info


def _write_text(path: Path, lines: Sequence[str]) -> None:
    _write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def _write_bytes(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
