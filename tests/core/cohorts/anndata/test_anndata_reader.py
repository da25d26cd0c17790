"""AnnData files are read bit for bit, in every form that anndata writes, and every fault says where it is."""

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from gr2st_core.cohorts.anndata_reader import AnnDataReader
from gr2st_core.cohorts.hest import HestReader
from gr2st_core.cohorts.records import RawSection, SectionEntry
from gr2st_core.cohorts.registry import find_reader
from gr2st_core.cohorts.spatialdata_reader import SpatialDataReader
from gr2st_core.errors import CohortError, DataError
from gr2st_core.images.slides import open_slide, require_on_image
from gr2st_core.settings import Limits

ENSEMBL = [f"ENSG0000000000{number}" for number in range(4)]


def read(folder: Path, section: str = "A1", limits: Limits | None = None) -> RawSection:
    entries, faults = AnnDataReader().entries("toy", folder)
    assert faults == []
    entry = next(entry for entry in entries if entry.key.section_id == section)
    return AnnDataReader().read(entry, limits or Limits())


def fault_of(folder: Path, limits: Limits | None = None) -> DataError:
    """The one fault of A1, found by the listing or by reading."""
    entries, faults = AnnDataReader().entries("toy", folder)
    if not faults:
        with pytest.raises(DataError) as caught:
            AnnDataReader().read(entries[0], limits or Limits())
        faults = [caught.value]
    (fault,) = faults
    assert not isinstance(fault, CohortError), str(fault)
    assert fault.context["section"] == "toy/A1"
    return fault


def matrix_of(section: RawSection) -> Any:
    assert section.counts is not None
    return section.counts.matrix.toarray()


def test_a_section_is_read_with_its_scale_on_the_embedded_image(toy: Any) -> None:
    path = toy.write(toy.sample(array_col=toy.grid[:, 0].astype(int), array_row=toy.grid[:, 1].astype(int)))
    section = read(toy.folder)
    assert section.patient_id == "P1"
    assert section.spot_ids.tolist() == list(toy.spots)
    assert section.counts is not None
    assert section.counts.genes == toy.genes
    assert section.counts.matrix.dtype == np.int32
    assert np.array_equal(matrix_of(section), toy.counts)
    assert np.allclose(section.pixel_xy, toy.positions * 0.1)
    assert section.array_xy.tolist() == toy.grid.tolist()
    assert (section.pitch_um, section.pitch_px, section.um_per_px) == pytest.approx((100.0, 20.0, 5.0))
    assert section.image_path == path
    assert section.regions is None
    slide = open_slide(path, max_megapixels=1)
    require_on_image(section.pixel_xy, slide.size_px, section.spot_ids)


def test_the_registry_knows_the_layout_by_content(toy: Any) -> None:
    with h5py.File(toy.folder / "matrix.h5", "w") as file:
        file.create_group("matrix")
    assert not AnnDataReader().recognises(toy.folder)
    toy.write(name="B.h5")
    assert find_reader(toy.folder).layout == "anndata"
    entries, faults = AnnDataReader().entries("toy", toy.folder)
    assert [str(entry.key) for entry in entries] == ["toy/B"]
    assert faults[0].context["found"] == ["matrix"]


def test_a_folder_of_pipes_loops_and_folders_is_nobodys(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(toy.folder / "pipe.h5ad")
    (toy.folder / "loop.h5").symlink_to("loop.h5")
    (toy.folder / "folder.h5ad").mkdir()
    for reader in (AnnDataReader(), HestReader(), SpatialDataReader()):
        assert not reader.recognises(toy.folder)

    def refuse(_: Path) -> None:
        raise PermissionError

    (toy.folder / "st").mkdir()
    (toy.folder / "metadata").mkdir()
    monkeypatch.setattr(Path, "iterdir", refuse)
    for reader in (AnnDataReader(), HestReader(), SpatialDataReader()):
        assert not reader.recognises(toy.folder)


def test_objects_without_encoding_attributes_are_known_by_their_groups(toy: Any) -> None:
    path = toy.write(name="A1.h5")
    with h5py.File(path, "a") as file:
        del file.attrs["encoding-type"]
    assert AnnDataReader().recognises(toy.folder)
    assert np.array_equal(matrix_of(read(toy.folder)), toy.counts)


@pytest.mark.parametrize(
    ("form", "dtype"),
    [(sparse.csr_matrix, np.float32), (sparse.csc_matrix, np.int64), (np.asarray, np.uint16), (np.asarray, np.float64)],
)
def test_counts_are_the_same_bits_in_every_form(toy: Any, form: Any, dtype: Any) -> None:
    toy.write(toy.sample(form(toy.counts.astype(dtype))))
    assert np.array_equal(matrix_of(read(toy.folder)), toy.counts)


def test_half_precision_and_big_endian_counts_are_read(toy: Any) -> None:
    for number, dtype in enumerate(("<f2", ">i4", ">f8")):
        path = toy.write(name=f"A{number}.h5ad")
        with h5py.File(path, "a") as file:
            del file["X"]
            file["X"] = toy.counts.astype(dtype)
            file["X"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        assert np.array_equal(matrix_of(read(toy.folder, f"A{number}")), toy.counts)


def test_the_first_matrix_of_integers_holds_the_counts(toy: Any) -> None:
    normalised = toy.sample(np.log1p(toy.counts).astype(np.float32))
    normalised.raw = toy.sample()
    toy.write(normalised)
    assert np.array_equal(matrix_of(read(toy.folder)), toy.counts)
    layered = toy.sample(np.log1p(toy.counts).astype(np.float32))
    layered.raw = toy.sample(np.sqrt(toy.counts))
    layered.layers["counts"] = sparse.csr_matrix(toy.counts + 1)
    toy.write(layered, "B1.h5ad")
    assert np.array_equal(matrix_of(read(toy.folder, "B1")), toy.counts + 1)


def test_raw_counts_come_with_their_own_genes(toy: Any) -> None:
    data = toy.sample(np.log1p(toy.counts).astype(np.float32))
    data.raw = toy.sample()
    toy.write(data[:, ["ACTB"]].copy())
    section = read(toy.folder)
    assert section.counts is not None
    assert section.counts.genes == toy.genes


def test_normalised_values_are_refused_as_counts(toy: Any) -> None:
    data = toy.sample(np.log1p(toy.counts).astype(np.float32))
    data.layers["counts"] = sparse.csr_matrix(toy.counts / 4)
    toy.write(data)
    fault = fault_of(toy.folder)
    assert "normalised" in fault.message
    assert fault.context["field"] == "layers/counts, X"
    assert fault.context["found"] == {"layers/counts": "0.25", "X": str(np.log1p(np.float32(12)))}
    assert "layers['counts']" in fault.context["hint"]


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "not finite"), (-1.0, "negative"), (2.0**31, "too large"), (np.inf, "not finite")]
)
def test_values_that_are_no_counts_are_faults(toy: Any, value: float, message: str) -> None:
    matrix = toy.counts.astype(np.float64)
    matrix[3, 2] = value
    toy.write(toy.sample(sparse.csr_matrix(matrix)))
    fault = fault_of(toy.folder)
    assert message in fault.message
    assert fault.context["gene"] == "KRT18"
    assert fault.context["matrix"] == "X"
    assert fault.context["file"] == toy.folder / "A1.h5ad"


def test_damage_of_the_counts_layer_is_not_passed_over_for_another_matrix(toy: Any) -> None:
    data = toy.sample()
    data.layers["counts"] = sparse.csr_matrix(-toy.counts)
    toy.write(data)
    assert fault_of(toy.folder).context["matrix"] == "layers/counts"


def test_sparse_indices_out_of_range_are_a_fault(toy: Any) -> None:
    path = toy.write()
    with h5py.File(path, "a") as file:
        file["X/indices"][0] = 400_000
    fault = fault_of(toy.folder)
    assert fault.context["field"] == "indices"


def test_all_faults_of_a_section_are_listed_and_other_sections_survive(toy: Any) -> None:
    data = toy.sample(np.sqrt(toy.counts))
    data.obs_names = ["s0", "s0", "s2", "s3", "s4", "s5"]
    data.obsm["spatial"][2] = np.nan
    toy.write(data)
    toy.write(name="B1.h5ad")
    entries, faults = AnnDataReader().entries("toy", toy.folder)
    assert faults == []
    with pytest.raises(CohortError) as caught:
        AnnDataReader().read(entries[0])
    faults = {fault.context["field"]: fault.context["found"] for fault in caught.value.faults}
    assert faults == {"obs index": ["s0"], "X": {"X": str(2**0.5 * 6**0.5)}, "obsm['spatial']": ["s2"]}
    assert np.array_equal(matrix_of(read(toy.folder, "B1")), toy.counts)


def test_genes_that_share_a_symbol_are_summed(toy: Any) -> None:
    data = toy.sample()
    data.var_names = ["ERBB2", "ACTB", "ERBB2", "GAPDH"]
    toy.write(data)
    section = read(toy.folder)
    assert section.counts is not None
    assert section.counts.genes == ("ERBB2", "ACTB", "GAPDH")
    assert matrix_of(section)[:, 0].tolist() == (toy.counts[:, 0] + toy.counts[:, 2]).tolist()


def test_antibodies_are_no_genes(toy: Any) -> None:
    data = toy.sample()
    data.var["feature_types"] = ["Gene Expression"] * 3 + ["Antibody Capture"]
    toy.write(data)
    section = read(toy.folder)
    assert section.counts is not None
    assert section.counts.genes == toy.genes[:3]
    assert np.array_equal(matrix_of(section), toy.counts[:, :3])


@pytest.mark.parametrize("column", ["gene_symbols", "feature_name", "gene_name"])
def test_ensembl_ids_give_way_to_symbols(toy: Any, column: str) -> None:
    data = toy.sample()
    data.var = pd.DataFrame({column: ["ERBB2", "ACTB", None, "GAPDH"]}, index=ENSEMBL)
    toy.write(data)
    section = read(toy.folder)
    assert section.counts is not None
    assert section.counts.genes == ("ERBB2", "ACTB", ENSEMBL[2], "GAPDH")


def test_ensembl_ids_without_symbols_are_a_fault(toy: Any) -> None:
    data = toy.sample()
    data.var_names = ENSEMBL
    toy.write(data)
    assert "gene_symbols" in fault_of(toy.folder).context["hint"]


@pytest.mark.parametrize("column", ["region", "annotation", "pathologist_label"])
def test_labels_of_a_person_come_along(toy: Any, column: str) -> None:
    toy.write(toy.sample(**{column: pd.Categorical(["tumour", None, "stroma", "tumour", "fat", None])}))
    regions = read(toy.folder).regions
    assert regions is not None
    assert regions.tolist() == ["tumour", "", "stroma", "tumour", "fat", ""]


def test_drawn_regions_win_over_the_labels_in_the_file(toy: Any) -> None:
    toy.write(toy.sample(region=["old"] * 6))
    (toy.folder / "regions").mkdir()
    ring = [[5, 5], [35, 5], [35, 15], [5, 15], [5, 5]]  # pixels of the embedded image: the first two spots
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": "tumour"}},
    }
    path = toy.folder / "regions/A1.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    regions = read(toy.folder).regions
    assert regions is not None
    assert regions.tolist() == ["tumour", "tumour", "", "", "", ""]
    path.unlink()
    (toy.folder / "regions/A1.tsv").write_text("spot_id\tlabel\ns5\tfat\n")
    regions = read(toy.folder).regions
    assert regions is not None
    assert regions.tolist() == ["", "", "", "", "", "fat"]


def test_a_cohort_file_that_contradicts_itself_is_a_fault(toy: Any) -> None:
    toy.write()
    (toy.folder / "cohort.yml").write_text("pitch_um: 100\num_per_px: 4\n")
    fault = fault_of(toy.folder)
    assert (fault.context["field"], fault.context["found"]) == ("um_per_px", 4.0)


def test_spots_off_the_tissue_are_left_out(toy: Any) -> None:
    toy.write(toy.sample(in_tissue=[1, 1, 0, 1, 1, 1]))
    section = read(toy.folder)
    assert section.spot_ids.tolist() == ["s0", "s1", "s3", "s4", "s5"]
    assert np.array_equal(matrix_of(section), np.delete(toy.counts, 2, axis=0))


def test_without_a_grid_positions_are_in_pitches(toy: Any) -> None:
    toy.write()
    assert np.allclose(read(toy.folder).array_xy, toy.positions / 200.0)


def test_the_hexagonal_grid_of_visium_is_in_pitches(toy: Any) -> None:
    column, row = [0, 2, 1, 3, 0, 2], [0, 0, 1, 1, 2, 2]
    data = toy.sample(array_col=column, array_row=row)
    data.obsm["spatial"] = 100.0 + 200.0 * np.stack([np.array(column) / 2, np.array(row) * 0.75**0.5], axis=1)
    toy.write(data)
    section = read(toy.folder)
    assert section.pitch_px == pytest.approx(20.0)
    offset = section.array_xy - section.pixel_xy / section.pitch_px
    assert np.allclose(offset, offset[0])


def test_an_image_beside_the_file_wins_and_takes_positions_as_they_are(toy: Any) -> None:
    toy.write()
    image = toy.folder / "A1.ome.tif"
    image.write_bytes(b"never opened by a reader")
    section = read(toy.folder)
    assert section.image_path == image
    assert np.array_equal(section.pixel_xy, toy.positions)
    assert section.um_per_px == pytest.approx(0.5)
    (toy.folder / "A1.png").write_bytes(b"")
    assert fault_of(toy.folder).context["found"] == ["A1.ome.tif", "A1.png"]


def test_without_any_image_counts_are_read_all_the_same(toy: Any) -> None:
    data = toy.sample()
    data.uns["spatial"]["lib"]["images"] = {}
    toy.write(data)
    section = read(toy.folder)
    assert section.image_path is None
    assert section.um_per_px == pytest.approx(0.5)


def with_scale(toy: Any, **factors: float) -> Any:
    data = toy.sample()
    data.uns["spatial"]["lib"]["scalefactors"] = {"tissue_hires_scalef": 0.1, **factors}
    return data


def test_the_scale_is_never_guessed(toy: Any) -> None:
    toy.write(with_scale(toy))
    fault = fault_of(toy.folder)
    assert fault.context["field"] == "pitch_um"
    assert "cohort.yml" in fault.context["hint"]
    toy.write(with_scale(toy, spot_diameter_fullres=200.0))
    assert "not Visium" in fault_of(toy.folder).context["found"]


@pytest.mark.parametrize("diameter", [110.0, 130.0])
def test_both_conventions_of_the_spot_diameter_give_the_pitch_of_visium(toy: Any, diameter: float) -> None:
    toy.write(with_scale(toy, spot_diameter_fullres=diameter))
    assert read(toy.folder).pitch_um == 100.0


def test_a_scale_may_be_stated_in_micrometres(toy: Any) -> None:
    toy.write(with_scale(toy, microns_per_pixel=0.25))
    section = read(toy.folder)
    assert (section.um_per_px, section.pitch_um) == pytest.approx((2.5, 50.0))
    data = with_scale(toy)
    data.uns["pitch_um"] = 150.0
    toy.write(data)
    assert read(toy.folder).pitch_um == 150.0


@pytest.mark.parametrize(("text", "expected"), [("pitch_um: 200", (200.0, 10.0)), ("um_per_px: 4", (80.0, 4.0))])
def test_the_cohort_file_states_the_scale_of_the_image(toy: Any, text: str, expected: tuple[float, float]) -> None:
    toy.write(with_scale(toy, microns_per_pixel=0.25))
    (toy.folder / "cohort.yml").write_text(text)
    section = read(toy.folder)
    assert (section.pitch_um, section.um_per_px) == pytest.approx(expected)
    entries, _ = AnnDataReader().entries("toy", toy.folder)
    assert entries[0].files["facts"] == toy.folder / "cohort.yml"
    assert SectionEntry.from_json(toy.folder, entries[0].to_json(toy.folder)) == entries[0]


def test_spots_on_one_another_have_no_scale(toy: Any) -> None:
    data = toy.sample()
    data.obsm["spatial"][:] = 5.0
    toy.write(data)
    assert fault_of(toy.folder).context["field"] == "spot positions"


def test_the_patient_table_wins_and_an_unknown_patient_is_a_fault(toy: Any) -> None:
    toy.write(toy.sample(patient=["P1", "P2", "P1", "P1", "P1", "P1"]))
    fault = fault_of(toy.folder)
    assert fault.context["found"] == ["P1", "P2"]
    assert fault.context["hint"] == "add the row: A1<tab><patient>"
    (toy.folder / "patients.tsv").write_text("section_id\tpatient_id\nA1\tQ\n")
    assert read(toy.folder).patient_id == "Q"


@pytest.mark.parametrize("column", ["patient_id", "donor", "donor_id"])
def test_a_constant_column_names_the_patient(toy: Any, column: str) -> None:
    data = toy.sample(**{column: pd.Categorical(["Patient 7"] * 6)})
    del data.obs["patient"]
    toy.write(data)
    assert read(toy.folder).patient_id == "Patient_7"


def test_two_names_for_one_patient_id_are_a_fault(toy: Any) -> None:
    toy.write(toy.sample(patient=["P 1"] * 6))
    toy.write(toy.sample(patient=["P.1"] * 6), "B1.h5ad")
    entries, faults = AnnDataReader().entries("toy", toy.folder)
    assert [str(entry.key) for entry in entries] == ["toy/A1"]
    assert faults[0].context["found"] == ["P 1", "P.1"]


def test_columns_of_older_anndata_are_read(toy: Any) -> None:
    path = toy.write(toy.sample(region=["a", "b", "a", "b", "a", "b"]))
    with h5py.File(path, "a") as file:  # as anndata 0.7 wrote: codes that refer to categories in a group beside them
        obs = file["obs"]
        obs.attrs["encoding-version"] = "0.1.0"
        for name, values in (("region", ["a", "b"]), ("patient", ["P1"])):
            codes = np.array([0, 1, 0, 1, 0, 1] if name == "region" else [0] * 6, dtype=np.int8)
            del obs[name]
            categories = obs.require_group("__categories").create_dataset(name, data=values)
            obs.create_dataset(name, data=codes).attrs["categories"] = categories.ref
    section = read(toy.folder)
    assert section.patient_id == "P1"
    assert section.regions is not None
    assert section.regions.tolist() == ["a", "b", "a", "b", "a", "b"]


def declare(path: Path, name: str, shape: tuple[int, ...], dtype: str = "f4") -> None:
    """Replace an array by one of a few bytes that declares ``shape``."""
    with h5py.File(path, "a") as file:
        attributes = dict(file[name].attrs)
        del file[name]
        chunks = tuple(min(size, 1000) for size in shape)
        file.create_dataset(name, shape=shape, dtype=dtype, chunks=chunks, compression="gzip").attrs.update(attributes)
    assert path.stat().st_size < 200_000


@pytest.mark.parametrize(
    ("name", "shape", "field"),
    [
        ("X/data", (10**12,), "limits.max_cells"),
        ("X/indptr", (10**12,), "limits.max_cells"),
        ("obsm/spatial", (10**11, 2), "/obsm/spatial"),
        ("obs/_index", (10**10,), "limits.max_spots"),
        ("var/_index", (10**10,), "/var/_index"),
    ],
)
def test_a_small_file_that_declares_a_huge_array_is_refused(
    toy: Any, name: str, shape: tuple[int, ...], field: str
) -> None:
    path = toy.write()
    declare(path, name, shape)
    fault = fault_of(toy.folder)
    assert fault.context["field"] == field
    assert fault.context["expected"].startswith("at most")


def test_a_huge_dense_matrix_is_refused_and_limits_are_named(toy: Any) -> None:
    path = toy.write(toy.sample(toy.counts))
    declare(path, "X", (400_000, 40_000))
    fault = fault_of(toy.folder)
    assert (fault.context["field"], fault.context["found"]) == ("limits.max_cells", 16 * 10**9)
    toy.write()
    assert fault_of(toy.folder, Limits(max_cells=10)).context["field"] == "limits.max_cells"
    assert fault_of(toy.folder, Limits(max_spots=5)).context["field"] == "limits.max_spots"


@pytest.mark.parametrize("kind", ["external", "soft", "virtual", "external data"])
def test_arrays_that_lie_elsewhere_are_never_read(toy: Any, tmp_path: Path, kind: str) -> None:
    path, other = toy.write(), tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["spatial"] = toy.positions
    with h5py.File(path, "a") as file:
        del file["obsm/spatial"]
        if kind == "external":
            file["obsm/spatial"] = h5py.ExternalLink(str(other), "/spatial")
        elif kind == "soft":
            file["obsm/spatial"] = h5py.SoftLink("/uns/spatial")
        elif kind == "virtual":
            layout = h5py.VirtualLayout((6, 2), "f8")
            layout[:] = h5py.VirtualSource(str(other), "spatial", (6, 2))
            file.create_virtual_dataset("obsm/spatial", layout)
        else:
            file.create_dataset("obsm/spatial", (6, 2), "f8", external=[(str(other), 0, 96)])
    fault = fault_of(toy.folder)
    assert fault.context["field"] == "/obsm/spatial"


def test_a_column_cannot_name_an_array_elsewhere_in_the_file(toy: Any) -> None:
    path = toy.write()
    with h5py.File(path, "a") as file:
        file["obs"].attrs["column-order"] = np.array(["patient", "/uns/spatial/lib/images/hires"], dtype=object)
    assert fault_of(toy.folder).context["found"] == ["/uns/spatial/lib/images/hires"]


def test_a_group_that_holds_itself_is_refused(toy: Any) -> None:
    path = toy.write()
    with h5py.File(path, "a") as file:
        file["obs/loop"] = file["obs"]
    assert "nested" in fault_of(toy.folder).message


@pytest.mark.parametrize("end", [600, 3000, 9000])
def test_a_truncated_file_is_a_fault(toy: Any, end: int) -> None:
    path = toy.write()
    path.write_bytes(path.read_bytes()[:end])
    assert AnnDataReader().recognises(toy.folder)
    fault = fault_of(toy.folder)
    assert fault.context["file"] == path
    assert "fetch" in fault.context["hint"]


def test_an_unknown_encoding_is_a_fault(toy: Any) -> None:
    path = toy.write()
    with h5py.File(path, "a") as file:
        file["obs"].attrs["encoding-type"] = "datDframe"
    assert fault_of(toy.folder).context["field"] == "obs"


def test_damage_that_shows_after_opening_is_a_fault(toy: Any) -> None:
    path = toy.write()
    content = path.read_bytes()
    with h5py.File(path) as file:
        start = h5py.h5o.get_info(file["uns/spatial/lib/images"].id).addr
    path.write_bytes(content[:start] + bytes(64) + content[start + 64 :])
    assert fault_of(toy.folder).context["file"] == path


def test_missing_parts_are_named(toy: Any) -> None:
    for part, field in (("obsm/spatial", "obsm['spatial']"), ("X/indices", "X")):
        path = toy.write()
        with h5py.File(path, "a") as file:
            del file[part]
        assert fault_of(toy.folder).context["field"] == field
    path = toy.write()
    with h5py.File(path, "a") as file:
        del file["X"]
    assert "has no counts" in fault_of(toy.folder).message


def test_several_sections_in_one_file_are_refused(toy: Any) -> None:
    data = toy.sample()
    data.uns["spatial"]["second"] = data.uns["spatial"]["lib"]
    toy.write(data)
    assert fault_of(toy.folder).context["found"] == ["lib", "second"]


def test_what_a_library_cannot_read_costs_one_section_and_hides_no_cohort(toy: Any) -> None:
    toy.write(name="Z1.h5ad")
    with h5py.File(toy.write(), "a") as file:
        factors = file["uns/spatial/lib/scalefactors"]
        del factors["tissue_hires_scalef"]
        factors.create_group("tissue_hires_scalef")
    with h5py.File(toy.folder / "B1.h5", "w") as file:  # a type of HDF5 that numpy lacks
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5a.create(file.id, b"encoding-type", h5py.h5t.UNIX_D32LE, space)
    assert find_reader(toy.folder).layout == "anndata"
    entries, faults = AnnDataReader().entries("toy", toy.folder)
    assert [str(entry.key) for entry in entries] == ["toy/Z1"]
    assert [(fault.message, fault.context["section"]) for fault in faults] == [
        ("an embedded image has no scale", "toy/A1"),
        ("an HDF5 file is truncated or damaged", "toy/B1"),
    ]


def test_links_names_and_doubles_are_faults_of_the_listing(toy: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside.h5ad"
    toy.write().rename(outside)
    (toy.folder / "A1.h5ad").symlink_to(outside)
    assert fault_of(toy.folder).context["found"] == outside
    (toy.folder / "A1.h5ad").unlink()
    toy.write(name="a b.h5ad")
    toy.write(name="C.h5ad")
    toy.write(name="C.h5")
    entries, faults = AnnDataReader().entries("toy", toy.folder)
    assert entries == []
    assert [fault.context["section"] for fault in faults] == ["toy/C", "toy/a b"]


def test_equal_files_give_equal_sections(toy: Any) -> None:
    toy.write()
    first, second = read(toy.folder), read(toy.folder)
    assert first.counts is not None
    assert second.counts is not None
    assert first.counts.matrix.data.tobytes() == second.counts.matrix.data.tobytes()
    assert first.pixel_xy.tobytes() == second.pixel_xy.tobytes()
