"""Matrices as text are read whatever their columns, and never beyond the limits."""

import gzip
from pathlib import Path
from types import ModuleType

import pytest

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.spaceranger_mtx import read_mtx_folder
from gr2st_core.errors import DataError, MissingArtifactError
from gr2st_core.settings import DEFAULT_LIMITS, Limits


@pytest.fixture
def folder(tmp_path: Path, samples: ModuleType) -> Path:
    samples.write_trio(tmp_path, packed=False)
    return tmp_path


def fault_of(folder: Path, limits: Limits = DEFAULT_LIMITS) -> DataError:
    faults = Faults(section="toy/S1")
    read_mtx_folder(folder, faults, limits)
    assert len(faults) == 1, faults.found
    assert faults.found[0].context["section"] == "toy/S1"
    return faults.found[0]


def test_other_features_than_genes_are_left_out(folder: Path, samples: ModuleType) -> None:
    (folder / "features.tsv").write_text(
        "E1\tA\tGene Expression\nE2\tB\tAntibody Capture\nE3\tC\tGene Expression\nE4\tB\tGene Expression\n"
    )
    barcodes, counts = read_mtx_folder(folder, Faults(), DEFAULT_LIMITS)
    assert barcodes == list(samples.BARCODES)
    assert counts is not None
    assert counts.genes == ("A", "C", "B")
    assert counts.matrix.toarray().tolist() == samples.COUNTS[:, [0, 2, 3]].tolist()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3 1 3", "3 1 3.5", "counts are not integers: they are normalised already"),
        ("3 1 3", "3 1 nan", "a count is not finite"),
        ("3 1 3", "3 1 -3", "a count is negative"),
        ("3 1 3", "3 1 3\n3 1 3", "a matrix file is damaged"),
        ("3 1 3", "9 1 3", "a matrix file is damaged"),
        ("3 1 3", "0 1 3", "a matrix file is damaged"),
        ("3 1 3", "4 1 3", "a count is stored twice"),
        ("3 1 3\n", "", "a matrix file is damaged"),
        ("4 3 7", "4 2 7", "a matrix has not the size of its lists of features and barcodes"),
        ("4 3 7", "4 3 999999999999", "a count matrix is too large"),
        ("integer", "pattern", "a matrix file is of another kind"),
        ("general", "symmetric", "a matrix file is of another kind"),
        ("coordinate", "array", "a matrix file is damaged"),
        ("%%MatrixMarket", "MatrixMarket", "a matrix file is damaged"),
    ],
)  # fmt: skip
def test_a_fault_of_a_matrix_is_named(folder: Path, samples: ModuleType, old: str, new: str, message: str) -> None:
    path = folder / "matrix.mtx"
    text = samples.mtx_text()
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    fault = fault_of(folder)
    assert (fault.message, fault.context["file"]) == (message, path)


def test_a_gzip_bomb_is_not_unpacked(folder: Path, samples: ModuleType) -> None:
    (folder / "matrix.mtx").unlink()
    path = folder / "matrix.mtx.gz"
    path.write_bytes(gzip.compress(samples.mtx_text().replace("%metadata", "%" + "\n%" * 2**20).encode()))
    fault = fault_of(folder, Limits(max_bytes=10_000))
    assert (fault.context["file"], fault.context["field"]) == (path, "limits.max_bytes")
    assert fault.context["expected"] == "at most 10000"


@pytest.mark.parametrize("name", ["matrix.mtx", "barcodes.tsv", "features.tsv"])
def test_a_truncated_archive_is_named(folder: Path, name: str) -> None:
    data = gzip.compress((folder / name).read_bytes())
    (folder / name).unlink()
    (folder / f"{name}.gz").write_bytes(data[:-9])
    fault = fault_of(folder)
    assert (fault.message, fault.context["file"]) == ("a gzip file is truncated or damaged", folder / f"{name}.gz")


def test_text_that_is_not_utf8_is_named(folder: Path) -> None:
    (folder / "barcodes.tsv").write_bytes(b"\xff\n" * 3)
    assert fault_of(folder).message == "a table is not UTF-8 text"


def test_files_that_are_missing_or_there_twice_are_named(folder: Path) -> None:
    (folder / "features.tsv").rename(folder / "features.txt")
    fault = fault_of(folder)
    assert isinstance(fault, MissingArtifactError)
    assert fault.context["file"] == folder / "features.tsv"
    (folder / "features.txt").rename(folder / "features.tsv")
    (folder / "genes.tsv").touch()
    fault = fault_of(folder)
    assert (fault.message, fault.context["found"]) == ("a count matrix has a file twice", ["features.tsv", "genes.tsv"])
