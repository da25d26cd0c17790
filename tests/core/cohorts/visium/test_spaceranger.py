"""Samples of every version of Space Ranger give the same section, and every fault says where it is."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

from gr2st_core.cohorts.records import RawSection, SectionEntry
from gr2st_core.cohorts.registry import find_reader
from gr2st_core.cohorts.spaceranger import SpaceRangerReader
from gr2st_core.errors import AlignmentError, CohortError, DataError, MissingArtifactError
from gr2st_core.settings import DEFAULT_LIMITS, Limits

OUTS = "S1/outs"
MATRIX = f"{OUTS}/filtered_feature_bc_matrix.h5"
SPATIAL = f"{OUTS}/spatial"


def read(folder: Path, section: str = "S1", limits: Limits = DEFAULT_LIMITS) -> RawSection:
    reader = SpaceRangerReader()
    assert reader.recognises(folder)
    entries, faults = reader.entries("toy", folder)
    assert faults == []
    return reader.read(next(entry for entry in entries if entry.key.section_id == section), limits)


def fault_of(folder: Path, limits: Limits = DEFAULT_LIMITS) -> DataError:
    """The one fault of S1; S2 must still be readable."""
    assert read(folder, "S2").spot_ids.tolist() == ["AAAC-1", "CCCA-1", "GTAC-1"]
    with pytest.raises(DataError) as caught:
        read(folder, "S1", limits)
    assert not isinstance(caught.value, CohortError), str(caught.value)
    assert caught.value.context["section"] == "toy/S1"
    return caught.value


def listing(folder: Path) -> tuple[list[SectionEntry], DataError]:
    """The sections that are listed, and the one fault."""
    entries, faults = SpaceRangerReader().entries("toy", folder)
    assert len(faults) == 1, faults
    return entries, faults[0]


def require_sound(section: RawSection, scale: float = 0.25) -> None:
    assert section.spot_ids.tolist() == ["AAAC-1", "CCCA-1", "GTAC-1"]  # in the order of the positions
    assert section.counts is not None
    assert section.counts.genes == ("ERBB2", "ACTB", "TBCE")
    assert section.counts.matrix.toarray().tolist() == [[0, 7, 1], [0, 0, 7], [12, 0, 4]]
    assert section.counts.matrix.dtype == np.int32
    assert section.n_spots_without_counts == 1
    half = np.sqrt(3) / 2
    assert section.array_xy == pytest.approx(np.array([[0, 0], [1, 0], [0.5, half]]))
    full = np.array([[1000, 1000], [1200, 1000], [1100, 1000 + 200 * half]])
    assert section.pixel_xy == pytest.approx(full * scale)
    assert (section.pitch_um, section.pitch_px) == pytest.approx((100.0, 200.0 * scale))
    assert section.um_per_px == pytest.approx(0.5 / scale)


@pytest.mark.parametrize("positions", ["tissue_positions_list.csv", "tissue_positions.csv", "tissue_positions.parquet"])
def test_positions_of_every_version_give_one_section(cohort: Path, samples: ModuleType, positions: str) -> None:
    (cohort / SPATIAL / "tissue_positions_list.csv").unlink()
    if positions.endswith("parquet"):
        samples.write_parquet(cohort / SPATIAL / positions, samples.hex_rows())
    else:
        samples.write_spatial(cohort / SPATIAL, positions=positions)
    section = read(cohort)
    require_sound(section)
    assert (section.key.cohort, section.patient_id, section.regions) == ("toy", "P1", None)


def test_a_list_with_a_header_is_read_as_one(cohort: Path, samples: ModuleType) -> None:
    text = samples.as_csv(samples.hex_rows(), header=True)
    (cohort / SPATIAL / "tissue_positions_list.csv").write_text(text, encoding="utf-8")
    require_sound(read(cohort))


def test_matrices_of_the_second_version_are_read(cohort: Path, samples: ModuleType) -> None:
    samples.write_h5(cohort / MATRIX, version=2)
    require_sound(read(cohort))


@pytest.mark.parametrize(
    ("packed", "features", "n_columns"),
    [(True, "features.tsv", 3), (False, "features.tsv", 3), (False, "genes.tsv", 2), (True, "features.tsv", 1)],
)
def test_matrices_as_text_are_read(
    cohort: Path, samples: ModuleType, packed: bool, features: str, n_columns: int
) -> None:
    (cohort / MATRIX).unlink()
    folder = cohort / OUTS / "filtered_feature_bc_matrix"
    samples.write_trio(folder, packed=packed, features=features, n_columns=n_columns)
    require_sound(read(cohort))


def test_samples_need_no_folder_outs_and_names_may_have_a_prefix(cohort: Path) -> None:
    (cohort / MATRIX).rename(cohort / "S1/GSM1_filtered_feature_bc_matrix.h5")
    (cohort / SPATIAL).rename(cohort / "S1/spatial")
    (cohort / OUTS).rmdir()
    require_sound(read(cohort))


def test_a_matrix_is_known_by_what_it_holds(cohort: Path) -> None:
    (cohort / MATRIX).rename(cohort / OUTS / "sample.h5")
    with h5py.File(cohort / OUTS / "annotated.h5", "w") as file:
        file.create_group("obs")
    require_sound(read(cohort))


def test_a_cohort_folder_may_be_one_sample_named_like_the_cohort(cohort: Path, samples: ModuleType) -> None:
    samples.write_patients(cohort / "S1", toy="P9")
    section = read(cohort / "S1", "toy")
    require_sound(section)
    assert section.patient_id == "P9"


def test_the_lowres_image_and_no_image_have_their_own_scales(cohort: Path) -> None:
    hires = cohort / SPATIAL / "tissue_hires_image.png"
    hires.rename(cohort / SPATIAL / "tissue_lowres_image.png")
    require_sound(read(cohort), scale=0.05)
    (cohort / SPATIAL / "tissue_lowres_image.png").unlink()
    section = read(cohort)
    require_sound(section, scale=1.0)
    assert section.image_path is None


@pytest.mark.parametrize("name", ["slide.svs", "slide.BTF", "outs/he.tif"])
def test_an_image_at_full_resolution_is_preferred(cohort: Path, name: str) -> None:
    (cohort / "S1" / name).write_bytes(b"never opened by a reader")
    section = read(cohort)
    require_sound(section, scale=1.0)
    assert section.image_path == cohort / "S1" / name


def test_only_genes_are_kept_and_an_antibody_of_the_same_symbol_is_not_added(cohort: Path, samples: ModuleType) -> None:
    samples.write_h5(cohort / MATRIX, types=[samples.GENE] * 3 + ["Antibody Capture"])
    section = read(cohort)
    assert section.counts is not None
    assert section.counts.genes == ("ERBB2", "ACTB", "TBCE")
    assert section.counts.matrix.toarray().tolist() == [[0, 7, 1], [0, 0, 5], [12, 0, 3]]


def test_count_rows_off_the_tissue_are_left_out(cohort: Path, samples: ModuleType) -> None:
    samples.write_h5(cohort / MATRIX, barcodes=("GTAC-1", "AAAC-1", "GGGG-1"))
    section = read(cohort)
    assert section.spot_ids.tolist() == ["AAAC-1", "GTAC-1"]
    assert section.n_spots_without_counts == 2
    assert section.notes == ("1 count rows of spots that are not under tissue were left out",)


def test_labels_come_from_a_table_or_from_drawn_regions(cohort: Path) -> None:
    (cohort / "regions").mkdir()
    table = cohort / "regions/S1.tsv"
    table.write_text("spot_id\tlabel\nCCCA-1\tstroma\nTTTT-1\tfat\n", encoding="utf-8")
    assert read(cohort).regions.tolist() == ["", "stroma", ""]
    table.write_text("x\ty\tlabel\n1\t1\ttumour\n", encoding="utf-8")  # array_col and array_row
    assert read(cohort).regions.tolist() == ["", "", "tumour"]
    table.unlink()
    square = [[240, 240], [260, 240], [260, 260], [240, 260], [240, 240]]
    drawn = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [square]},
        "properties": {"objectType": "annotation", "classification": {"name": "Tumor"}},
    }
    (cohort / "regions/S1.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [drawn]}))
    assert read(cohort).regions.tolist() == ["Tumor", "", ""]
    assert read(cohort, "S2").regions is None


def test_the_pitch_does_not_depend_on_counts(cohort: Path, samples: ModuleType) -> None:
    samples.write_h5(cohort / MATRIX, np.array([[1, 1, 1, 1]]), barcodes=("GTAC-1",))
    assert read(cohort).pitch_px == pytest.approx(50.0)


def test_places_on_the_grid_are_one_pitch_apart_and_fit_the_tables_of_positions(cohort: Path) -> None:
    from gr2st_core.cohorts.visium_positions import in_pitches

    slide = np.array([(col, row) for row in range(78) for col in range(row % 2, 128, 2)], dtype=float)
    placed = in_pitches(slide, is_square=False)
    assert placed.max(axis=0).tolist() == pytest.approx([63.5, 77 * np.sqrt(3) / 2])
    centre = placed[(slide == [64, 40]).all(axis=1)]
    nearest = np.sort(np.linalg.norm(placed - centre, axis=1))[:8]
    assert nearest == pytest.approx([0, 1, 1, 1, 1, 1, 1, np.sqrt(3)])


# faults of one section -----------------------------------------------------------------------------------------------


def _h5(**replaced: Any) -> Callable[[Path, ModuleType], None]:
    return lambda path, samples: samples.write_h5(path, **replaced)


def _counts(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


@pytest.mark.parametrize(
    ("damage", "message", "field", "found"),
    [
        (_h5(data=_counts(1, 2, np.nan, 4, 5, 6, 7)), "a count is not finite", "row 1", "nan (1 such entries)"),
        (_h5(data=_counts(1, 2, 3, -4, 5, 6, 7)), "a count is negative", "row 2", "-4.0 (1 such entries)"),
        (
            _h5(data=_counts(1, 2, 3, 4, 5.5, 6, 7)),
            "counts are not integers: they are normalised already", "row 2", "5.5 (1 such entries)",
        ),
        (
            _h5(indices=np.array([0, 2, 3, 1, 2, 2, 9])),
            "a sparse matrix is damaged", "indices", "indices from 0 to 9, of 4",
        ),
        (_h5(indices=np.array([0, 2, 2, 1, 2, 2, 3])), "a count is stored twice", "indices", None),
        (_h5(barcodes=("GTAC-1", "AAAC-1", "GTAC-1")), "an id occurs twice", "barcodes", ["GTAC-1"]),
        (_h5(genes=("ERBB2", "", "A", "B")), "a column has no gene symbol", "genes", "column 2"),
        (_h5(types=["Antibody Capture"] * 4), "a count matrix is empty", None, "3 rows without a count"),
        (
            _h5(shape=np.array([4, 9])),
            "a matrix has not the size of its lists of features and barcodes", "shape", [4, 9],
        ),
        (_h5(indptr=np.array([0, 7])), "parts of a 10x count matrix do not fit", ["indptr"], {"indptr": (2,)}),
        (_h5(data=np.array([2**24, 1, 1, 1, 1, 1, 1])), "a count is too large to be read exactly", None, ">= 16777216"),
        (
            _h5(ids=[f"ENSG0{number}|TBCE|8eab82{number}" for number in range(4)]),
            "a matrix counts probes, not genes", None, [f"ENSG0{number}|TBCE|8eab82{number}" for number in range(3)],
        ),
        (
            _h5(**{"features/gene_id": np.array([b"E"] * 4), "features/probe_region": np.array([b"spliced"] * 4)}),
            "a matrix counts probes, not genes", None, ["gene_id", "probe_region"],
        ),
        (
            lambda path, _: path.write_bytes(b"\x89HDF\r\n\x1a\n cut off"),
            "an HDF5 file is truncated or damaged", None, None,
        ),
    ],
)  # fmt: skip
def test_a_fault_of_an_hdf5_matrix_is_named(
    cohort: Path,
    samples: ModuleType,
    damage: Callable[[Path, ModuleType], None],
    message: str,
    field: str | None,
    found: object,
) -> None:
    damage(cohort / MATRIX, samples)
    fault = fault_of(cohort)
    assert fault.message == message
    assert fault.context["file"] == cohort / MATRIX
    assert fault.context.get("field") == field
    if found is not None:
        assert fault.context["found"] == found
    if "probes" in message or "normalised" in message:
        assert fault.context["hint"]


def test_an_hdf5_file_of_something_else_lacks_the_matrix(cohort: Path) -> None:
    with h5py.File(cohort / MATRIX, "w") as file:
        file.create_dataset("X", data=[1.0])
    fault = fault_of(cohort)
    assert fault.message == "an HDF5 file has no 10x count matrix"
    assert fault.context["found"] == ["X"]


@pytest.mark.parametrize("part", ["barcodes", "features/name", "features/feature_type"])
def test_a_part_that_is_missing_is_named(cohort: Path, part: str) -> None:
    with h5py.File(cohort / MATRIX, "a") as file:
        del file["matrix"][part]
    fault = fault_of(cohort)
    if part == "barcodes":
        assert fault.message == "an HDF5 file has no 10x count matrix"
    else:
        assert (fault.message, fault.context["field"]) == ("a 10x count matrix lacks parts", [part])


@pytest.mark.parametrize("part", ["matrix", "matrix/data", "matrix/features/name"])
def test_a_damaged_object_of_an_hdf5_file_is_a_fault(cohort: Path, part: str) -> None:
    with h5py.File(cohort / MATRIX, "r") as file:
        address = h5py.h5o.get_info(file[part].id).addr
    with (cohort / MATRIX).open("r+b") as stream:
        stream.seek(address)
        stream.write(b"\xff" * 4)
    fault = fault_of(cohort)
    assert (fault.message, fault.context["file"]) == ("an HDF5 file is truncated or damaged", cohort / MATRIX)


def test_hdf5_links_are_refused(cohort: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file.create_dataset("data", data=np.arange(7))
    with h5py.File(cohort / MATRIX, "a") as file:
        del file["matrix"]["data"]
        file["matrix"]["data"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/data")
    fault = fault_of(cohort)
    assert (fault.message, fault.context["field"]) == ("an HDF5 file has a link", "/matrix/data")


def test_a_matrix_that_is_a_link_elsewhere_is_refused_and_known_for_none(cohort: Path, tmp_path: Path) -> None:
    (cohort / MATRIX).rename(tmp_path / "secret.h5")
    with h5py.File(cohort / MATRIX, "w") as file:
        file["matrix"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/matrix")
    fault = fault_of(cohort)
    assert (fault.message, fault.context["field"]) == ("an HDF5 file has a link", "/matrix")
    (cohort / MATRIX).rename(cohort / OUTS / "sample.h5")
    entries, faults = SpaceRangerReader().entries("toy", cohort)
    assert [str(entry.key) for entry in entries] == ["toy/S2"]
    assert [fault.message for fault in faults] == ["a section has no count matrix"]


def test_hdf5_groups_that_hold_themselves_are_refused(cohort: Path) -> None:
    with h5py.File(cohort / MATRIX, "a") as file:
        file["matrix"]["self"] = file["matrix"]
    assert fault_of(cohort).message == "groups are nested too deep"


@pytest.mark.parametrize(
    ("limits", "setting", "seen"),
    [
        (Limits(max_cells=6), "limits.max_cells", 7),
        (Limits(max_spots=2), "limits.max_spots", 3),
        (Limits(max_bytes=100), "limits.max_bytes", None),
    ],
)
def test_a_matrix_beyond_the_limits_is_refused_by_what_it_declares(
    cohort: Path, limits: Limits, setting: str, seen: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gr2st_core.cohorts.spaceranger_matrix._load", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(DataError) as caught:
        read(cohort, "S1", limits)
    faults = caught.value.faults if isinstance(caught.value, CohortError) else [caught.value]
    context = next(fault.context for fault in faults if fault.context["file"] == cohort / MATRIX)
    assert context["field"] == setting
    assert setting in context["hint"]
    if seen is not None:
        assert (context["found"], context["expected"]) == (seen, f"at most {seen - 1}")


def test_an_hdf5_bomb_is_refused_before_anything_is_allocated(cohort: Path, samples: ModuleType) -> None:
    with h5py.File(cohort / MATRIX, "a") as file:
        for name in ("data", "indices"):
            del file["matrix"][name]
            file["matrix"].create_dataset(name, shape=(2**40,), dtype="i4", chunks=(2**16,), compression="gzip")
    fault = fault_of(cohort)
    assert (fault.context["field"], fault.context["found"]) == ("limits.max_cells", 2**40)


ROW = "AAAC-1,1,0,0,1000,1000\n"


@pytest.mark.parametrize(
    ("text", "message", "field"),
    [
        (ROW * 2, "an id occurs twice", "barcode"),
        (ROW + "CCCA-1,1,0,0,1000,1200\n", "two spots have one place on the grid", "array_row, array_col"),
        (
            "AAAC-1,1,0,0,here,1000\n",
            "a position is not what it must be",
            "in_tissue, array_row, array_col, pxl_row_in_fullres, pxl_col_in_fullres",
        ),
        (
            "AAAC-1,1,0,0,inf,1000\n",
            "a position is not what it must be",
            "in_tissue, array_row, array_col, pxl_row_in_fullres, pxl_col_in_fullres",
        ),
        ("AAAC-1,2,0,0,1000,1000\n", "a position is not what it must be", "in_tissue"),
        ("AAAC-1,1,-1,0,1000,1000\n", "a position is not what it must be", "array_row, array_col"),
        ("barcode,in_tissue\nAAAC-1,1\n", "a table of positions lacks columns", None),
        ("", "no spot is under tissue", "in_tissue"),
        ('"', "a table of positions cannot be read", None),
        (ROW, "the scale of the image cannot be measured", "pxl_row_in_fullres, pxl_col_in_fullres"),
        (ROW + "CCCA-1,1,0,2,1000,1200\n", "count rows have no spot", "barcode"),
    ],
)
def test_a_fault_of_the_positions_is_named(
    cohort: Path, samples: ModuleType, text: str, message: str, field: str | None
) -> None:
    (cohort / SPATIAL / "tissue_positions_list.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read(cohort)
    faults = caught.value.faults if isinstance(caught.value, CohortError) else [caught.value]
    fault = next(fault for fault in faults if fault.message == message)
    assert fault.context["section"] == "toy/S1"
    if field is not None:
        assert fault.context["field"] == field


def test_a_damaged_parquet_file_of_positions_is_named(cohort: Path) -> None:
    path = cohort / SPATIAL / "tissue_positions.parquet"
    path.write_bytes(b"PAR1 cut off")
    fault = fault_of(cohort)
    assert (fault.message, fault.context["file"]) == ("a parquet file is damaged", path)


def test_counts_that_are_nowhere_under_tissue_are_a_fault(cohort: Path, samples: ModuleType) -> None:
    samples.write_h5(cohort / MATRIX, np.array([[1, 1, 1, 1]]), barcodes=("GGGG-1",))
    fault = fault_of(cohort)
    assert isinstance(fault, AlignmentError)
    assert fault.message == "no spot under tissue has counts"


@pytest.mark.parametrize(
    ("changed", "message", "field"),
    [
        (
            {"spot_diameter_fullres": 400.0},
            "scale factors and positions contradict each other",
            "spot_diameter_fullres",
        ),
        ({"microns_per_pixel": 1.0}, "scale factors and positions contradict each other", "microns_per_pixel"),
        ({"tissue_hires_scalef": 0}, "a scale factor is unusable", "tissue_hires_scalef"),
        ({"tissue_hires_scalef": float("nan")}, "a scale factor is unusable", "tissue_hires_scalef"),
        ({"tissue_hires_scalef": True}, "a scale factor is unusable", "tissue_hires_scalef"),
        ({"tissue_hires_scalef": "0.1"}, "a scale factor is unusable", "tissue_hires_scalef"),
        ({"tissue_hires_scalef": None}, "a scale factor is unusable", "tissue_hires_scalef"),
    ],
)
def test_a_fault_of_the_scale_factors_is_named(
    cohort: Path, samples: ModuleType, changed: dict[str, Any], message: str, field: str
) -> None:
    path = cohort / SPATIAL / "scalefactors_json.json"
    path.write_text(json.dumps({**samples.FACTORS, **changed}), encoding="utf-8")
    fault = fault_of(cohort)
    assert (fault.message, fault.context["field"], fault.context["file"]) == (message, field, path)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 20_000, "{}" + " " * 70_000])
def test_scale_factors_that_are_no_object_are_a_fault(cohort: Path, text: str) -> None:
    path = cohort / SPATIAL / "scalefactors_json.json"
    path.write_text(text, encoding="utf-8")
    fault = fault_of(cohort)
    assert fault.message == ("a table is too large" if text.startswith("{}") else "scale factors are not JSON")
    assert fault.context["file"] == path


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("tissue_hires_scalef", "an image has no scale factor"),
        ("spot_diameter_fullres", "a scale factor is missing"),
    ],
)
def test_a_factor_that_is_missing_is_a_fault(cohort: Path, samples: ModuleType, gone: str, message: str) -> None:
    factors = {name: value for name, value in samples.FACTORS.items() if name != gone}
    samples.write_spatial(cohort / SPATIAL, factors=factors)
    fault = fault_of(cohort)
    assert (fault.message, fault.context["field"]) == (message, gone)


def test_all_faults_of_a_section_are_named_together(cohort: Path, samples: ModuleType) -> None:
    samples.write_h5(cohort / MATRIX, data=_counts(1, 2, np.nan, -4, 5, 6.5, 7))
    (cohort / SPATIAL / "scalefactors_json.json").write_text("{", encoding="utf-8")
    with pytest.raises(CohortError) as caught:
        read(cohort)
    assert sorted(fault.message for fault in caught.value.faults) == [
        "a count is negative",
        "a count is not finite",
        "counts are not integers: they are normalised already",
        "scale factors are not JSON",
    ]


# faults that the listing sees ----------------------------------------------------------------------------------------


def test_a_sample_without_a_patient_is_a_fault_with_the_row_to_add(cohort: Path, samples: ModuleType) -> None:
    samples.write_patients(cohort, S2="P2")
    entries, fault = listing(cohort)
    assert [str(entry.key) for entry in entries] == ["toy/S2"]
    assert (fault.message, fault.context["section"]) == ("a section has no patient", "toy/S1")
    assert fault.context["file"] == cohort / "patients.tsv"
    assert fault.context["hint"] == "add the row: S1<tab><patient>"


def test_patients_of_unknown_sections_are_named(cohort: Path, samples: ModuleType) -> None:
    samples.write_patients(cohort, S1="P1", S2="P2", S3="P3")
    entries, fault = listing(cohort)
    assert len(entries) == 2
    assert (fault.context["field"], fault.context["found"]) == ("section_id", ["S3"])


@pytest.mark.parametrize(
    ("gone", "role"),
    [
        (MATRIX, "counts"),
        (f"{SPATIAL}/tissue_positions_list.csv", "positions"),
        (f"{SPATIAL}/scalefactors_json.json", "scale"),
    ],
)
def test_a_file_that_is_missing_is_named(cohort: Path, gone: str, role: str) -> None:
    (cohort / gone).unlink()
    entries, fault = listing(cohort)
    assert [entry.key.section_id for entry in entries] == ["S2"]
    assert isinstance(fault, MissingArtifactError)
    assert (fault.context["section"], fault.context["field"]) == ("toy/S1", role)


def test_a_sample_with_probes_alone_is_refused_by_name(cohort: Path) -> None:
    (cohort / MATRIX).rename(cohort / OUTS / "raw_probe_bc_matrix.h5")
    _, fault = listing(cohort)
    assert fault.message == "a section has only a matrix of probes, not of genes"
    assert fault.context["file"].name == "raw_probe_bc_matrix.h5"
    assert "filtered_feature_bc_matrix.h5" in fault.context["hint"]


def test_two_images_or_two_matrices_are_a_fault(cohort: Path, samples: ModuleType) -> None:
    for name in ("a.tif", "b.svs"):
        (cohort / "S1" / name).touch()
    _, fault = listing(cohort)
    assert (fault.message, fault.context["found"]) == ("a section has more than one image", ["a.tif", "b.svs"])
    (cohort / "S1/a.tif").unlink()
    samples.write_h5(cohort / OUTS / "x_filtered_feature_bc_matrix.h5")
    _, fault = listing(cohort)
    assert fault.message == "a section has more than one count matrix"


def test_links_out_of_the_cohort_and_unusable_names_are_faults(cohort: Path, tmp_path: Path) -> None:
    shutil.copytree(cohort / "S1", cohort / "S 3")
    entries, faults = SpaceRangerReader().entries("toy", cohort)
    assert [fault.message for fault in faults] == ["a section has an unusable name"]
    shutil.rmtree(cohort / "S 3")
    (cohort / MATRIX).rename(tmp_path / "elsewhere.h5")
    (cohort / MATRIX).symlink_to(tmp_path / "elsewhere.h5")
    entries, fault = listing(cohort)
    assert [entry.key.section_id for entry in entries] == ["S2"]
    assert fault.message == "a file lies outside its cohort folder"


def test_the_registry_knows_the_layout_and_other_folders_are_not_taken_for_it(cohort: Path, tmp_path: Path) -> None:
    assert find_reader(cohort).layout == "spaceranger"
    other = tmp_path / "other"
    (other / "docs").mkdir(parents=True)
    (other / "dangling").symlink_to(tmp_path / "nowhere")
    (other / "table.h5").touch()
    assert not SpaceRangerReader().recognises(other)
    assert not SpaceRangerReader().recognises(other / "table.h5")


@pytest.mark.parametrize("closed", ["S1", OUTS])
def test_a_folder_that_may_not_be_looked_into_costs_its_own_section(
    cohort: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    listdir, stat = os.listdir, os.stat

    def refuse(path: Any) -> None:
        if str(path).startswith(f"{cohort / closed}/"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

    def refusing_listdir(path: Any) -> list[str]:
        refuse(f"{path}/")
        return listdir(path)

    def refusing_stat(path: Any, **options: Any) -> os.stat_result:
        refuse(path)
        return stat(path, **options)

    monkeypatch.setattr(os, "listdir", refusing_listdir)
    monkeypatch.setattr(os, "stat", refusing_stat)
    assert SpaceRangerReader().recognises(cohort)
    entries, fault = listing(cohort)
    assert [entry.key.section_id for entry in entries] == ["S2"]
    assert fault.context["section"] == "toy/S1"
    assert "Permission denied" in fault.context["found"]
