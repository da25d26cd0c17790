"""SpatialData stores are read through their transformations, and a hostile store is never opened."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from gr2st_core.cohorts.records import RawSection, SectionEntry
from gr2st_core.cohorts.registry import find_reader
from gr2st_core.cohorts.spatialdata_reader import SpatialDataReader
from gr2st_core.errors import CohortError, DataError
from gr2st_core.images.slides import open_slide, require_on_image
from gr2st_core.settings import Limits

pytestmark = pytest.mark.filterwarnings("ignore")  # spatialdata's own dependencies warn when it writes


@pytest.fixture
def cohort(spatialdata_store: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "cohort"
    shutil.copytree(spatialdata_store, folder / "A1.zarr")
    return folder


def read(folder: Path, limits: Limits | None = None) -> RawSection:
    entries, faults = SpatialDataReader().entries("toy", folder)
    assert faults == []
    return SpatialDataReader().read(entries[0], limits or Limits())


def fault_of(folder: Path, limits: Limits | None = None) -> DataError:
    entries, faults = SpatialDataReader().entries("toy", folder)
    if not faults:
        with pytest.raises(DataError) as caught:
            SpatialDataReader().read(entries[0], limits or Limits())
        faults = [caught.value]
    (fault,) = faults
    assert not isinstance(fault, CohortError), str(fault)
    assert fault.context["section"] == "toy/A1"
    return fault


def change(path: Path, **values: Any) -> None:
    """Overwrite fields of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_rows_join_shapes_by_id_and_shapes_are_placed_on_the_image(cohort: Path) -> None:
    assert find_reader(cohort).layout == "spatialdata"
    section = read(cohort)
    assert section.spot_ids.tolist() == [f"s{number}" for number in range(6)]
    assert section.counts is not None
    assert section.counts.genes == ("ERBB2", "ACTB", "KRT18", "GAPDH")
    assert section.counts.matrix.toarray().tolist() == np.arange(24).reshape(6, 4).tolist()
    assert np.allclose(section.pixel_xy, [[8, 9], [28, 9], [48, 9], [8, 29], [28, 29], [48, 29]])
    assert (section.pitch_um, section.pitch_px, section.um_per_px) == pytest.approx((100.0, 20.0, 5.0))
    assert section.patient_id == "P1"
    assert section.n_spots_without_counts == 0
    assert section.array_xy.shape == (6, 2)


def test_labels_are_those_of_a_person_not_the_names_of_shapes(cohort: Path) -> None:
    regions = read(cohort).regions
    assert regions is not None
    assert regions.tolist() == list("abcabc")


def test_the_image_of_the_store_is_the_slide(cohort: Path) -> None:
    section = read(cohort)
    assert section.image_path == cohort / "A1.zarr"
    slide = open_slide(cohort / "A1.zarr", max_megapixels=1)
    require_on_image(section.pixel_xy, slide.size_px, section.spot_ids)
    expected = np.random.default_rng(0).integers(0, 256, (3, 50, 60), dtype=np.uint8)
    assert np.array_equal(slide.pixels(), np.moveaxis(expected, 0, -1))


def test_an_entry_survives_the_register(cohort: Path) -> None:
    entries, _ = SpatialDataReader().entries("toy", cohort)
    assert SectionEntry.from_json(cohort, entries[0].to_json(cohort)) == entries[0]


def test_an_older_store_with_a_pyramid_and_two_coordinate_systems_is_read(
    spatialdata_store: Path, tmp_path: Path
) -> None:
    import spatialdata
    from spatialdata._io.format import SpatialDataContainerFormatV01
    from spatialdata.models import Image2DModel
    from spatialdata.transformations import Identity, Scale, set_transformation

    data = spatialdata.read_zarr(spatialdata_store)
    tenth = Scale([0.1, 0.1], axes=("x", "y"))
    set_transformation(data.shapes["spots"], {"full": Identity(), "small": tenth}, set_all=True)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 50, 60), dtype=np.uint8)
    systems = {"small": Identity(), "full": tenth.inverse()}
    data.images["he"] = Image2DModel.parse(pixels, dims=("c", "y", "x"), transformations=systems, scale_factors=[2])
    data.write(tmp_path / "cohort/A1.zarr", sdata_formats=SpatialDataContainerFormatV01())
    assert (tmp_path / "cohort/A1.zarr/.zgroup").exists()
    section = read(tmp_path / "cohort")
    assert np.allclose(section.pixel_xy[:2], [[10, 10], [30, 10]])
    assert section.counts is not None
    assert section.counts.matrix.toarray().tolist() == np.arange(24).reshape(6, 4).tolist()
    slide = open_slide(tmp_path / "cohort/A1.zarr", max_megapixels=1)
    assert np.array_equal(slide.pixels(), np.moveaxis(pixels, 0, -1))


def test_coordinate_systems_that_contradict_each_other_are_a_fault(cohort: Path) -> None:
    path = cohort / "A1.zarr/images/he/zarr.json"
    metadata = json.loads(path.read_text())
    scales = metadata["attributes"]["ome"]["multiscales"][0]
    extra = json.loads(json.dumps(scales["coordinateTransformations"][0]).replace('"downscaled"', '"full"'))
    scales["coordinateTransformations"].append(extra)
    path.write_text(json.dumps(metadata))
    assert fault_of(cohort).context["found"] == ["downscaled", "full"]


def test_rows_without_a_shape_are_a_fault(cohort: Path) -> None:
    ids = zarr.open_array(cohort / "A1.zarr/tables/table/obs/spot", mode="r+")
    ids[2] = 99
    fault = fault_of(cohort)
    assert (fault.context["field"], fault.context["found"]) == ("instance id", [99])


def test_shapes_that_are_not_of_visium_need_a_stated_pitch(cohort: Path) -> None:
    import geopandas as gpd

    shapes = gpd.read_parquet(cohort / "A1.zarr/shapes/spots/shapes.parquet")
    shapes["radius"] = 100.0
    shapes.to_parquet(cohort / "A1.zarr/shapes/spots/shapes.parquet")
    assert "not Visium" in fault_of(cohort).context["found"]
    (cohort / "cohort.yml").write_text("pitch_um: 200\n")
    assert read(cohort).um_per_px == pytest.approx(10.0)


def test_shapes_and_image_need_a_coordinate_system_in_common(cohort: Path) -> None:
    path = cohort / "A1.zarr/images/he/zarr.json"
    path.write_text(path.read_text().replace('"downscaled"', '"elsewhere"'))
    assert fault_of(cohort).context["found"] == [["downscaled", "full"], ["elsewhere"]]


def test_a_store_without_images_gives_counts(cohort: Path) -> None:
    shutil.rmtree(cohort / "A1.zarr/images")
    section = read(cohort)
    assert section.image_path is None
    assert section.um_per_px == pytest.approx(0.5)


def test_the_limits_hold_for_table_and_shapes(cohort: Path) -> None:
    assert fault_of(cohort, Limits(max_cells=10)).context["field"] == "limits.max_cells"
    assert fault_of(cohort, Limits(max_spots=5)).context["field"] == "limits.max_spots"


@pytest.mark.parametrize(("array", "shape"), [("tables/table/X", [10**6, 10**6]), ("images/he/s0", [3, 10**7, 10**7])])
def test_a_small_store_that_declares_a_huge_array_is_refused(cohort: Path, array: str, shape: list[int]) -> None:
    path = cohort / "A1.zarr" / array / "zarr.json"
    change(path, shape=shape)
    fault = fault_of(cohort)
    assert fault.context["file"] == path
    change(path, chunk_grid={"name": "regular", "configuration": {"chunk_shape": shape}})
    assert fault_of(cohort).context["file"] == path


def test_an_object_array_of_pickles_is_never_unpacked(cohort: Path) -> None:
    column = cohort / "A1.zarr/tables/table/obs/annotation"
    shutil.rmtree(column)
    column.mkdir()
    array = {
        "zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "compressor": None, "fill_value": None,
        "order": "C", "filters": [{"id": "pickle", "protocol": 5}],
    }  # fmt: skip
    (column / ".zarray").write_text(json.dumps(array))
    (column / "0").write_bytes(b"\x80\x04\x8c\x06opened\x94.")
    fault = fault_of(cohort)
    assert fault.context["found"] == ["pickle"]
    assert fault.context["file"] == column / ".zarray"
    with pytest.raises(DataError) as caught:
        open_slide(cohort / "A1.zarr", max_megapixels=1)
    assert caught.value.context["found"] == ["pickle"]


def test_codecs_in_consolidated_metadata_and_inside_shards_are_judged_too(cohort: Path) -> None:
    path = cohort / "A1.zarr/zarr.json"
    shard = {
        "name": "sharding_indexed",
        "configuration": {"chunk_shape": [1], "codecs": [{"name": "numcodecs.pickle"}]},
    }
    change(path, attributes={"deep": [{"shape": [1], "chunks": [1], "codecs": [shard]}]})
    assert fault_of(cohort).context["found"] == ["numcodecs.pickle"]


def test_a_link_out_of_the_store_is_refused(cohort: Path, tmp_path: Path) -> None:
    chunk = cohort / "A1.zarr/tables/table/obs/spot/c/0"
    outside = tmp_path / "chunk"
    chunk.rename(outside)
    chunk.symlink_to(outside)
    assert fault_of(cohort).context["found"] == outside


@pytest.mark.parametrize(
    "name", ["zarr.json", "tables/table/obs/zarr.json", "shapes/spots/shapes.parquet", "images/he/zarr.json"]
)
def test_damaged_metadata_are_a_fault(cohort: Path, name: str) -> None:
    path = cohort / "A1.zarr" / name
    path.write_bytes(path.read_bytes()[:20])
    assert fault_of(cohort).context["file"] == path


def test_a_store_has_one_table_of_one_set_of_shapes(cohort: Path) -> None:
    shutil.copytree(cohort / "A1.zarr/tables/table", cohort / "A1.zarr/tables/second")
    assert fault_of(cohort).context["found"] == ["second", "table"]
    shutil.rmtree(cohort / "A1.zarr/tables/second")
    key = zarr.open_group(cohort / "A1.zarr/tables/table/uns/spatialdata_attrs", mode="r+")
    key["region_key"][...] = "annotation"
    assert fault_of(cohort).context["found"] == ["a", "b", "c"]
