"""The SpatialData store of a predicted slide is valid, and its parts lie on each other."""

import json
from pathlib import Path

import numpy as np
import pytest

from gr2st_core.exports.spatialdata_store import write_spatialdata
from samples.predicted_slides import GENES, bare_slide, picture, predicted_slide

pytestmark = pytest.mark.filterwarnings("ignore")  # spatialdata's own dependencies warn when it writes

SLIDE = predicted_slide()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spatialdata") / "A1.zarr"
    write_spatialdata(SLIDE, path)
    return path


def test_the_store_is_valid(path: Path) -> None:
    from spatialdata import SpatialData
    from spatialdata.models import get_model

    data = SpatialData.read(path)
    assert {name for _, name, _ in data.gen_elements()} == {"he", "spots", "predicted"}
    for _, _, element in data.gen_elements():
        get_model(element)().validate(element)
    data.validate_table_in_spatialdata(data["predicted"])


def test_values_follow_their_spots(path: Path) -> None:
    from spatialdata import SpatialData, get_values

    data = SpatialData.read(path)
    found = get_values("KRT18", element_name="spots", sdata=data, table_name="predicted")
    assert found.index.tolist() == SLIDE.section.spot_ids.tolist()
    np.testing.assert_array_equal(found["KRT18"], SLIDE.prediction.values[:, GENES.index("KRT18")])
    table = data["predicted"]
    assert SLIDE.intervals is not None
    np.testing.assert_array_equal(table.layers["lower"], SLIDE.intervals.lower)
    assert set(table.obs["region"].dropna()) == {"tumour"}
    assert json.loads(table.uns["gr2st"]) == json.loads(SLIDE.document)


def test_spots_and_image_lie_on_each_other_in_pixels_of_the_slide(path: Path) -> None:
    from spatialdata import SpatialData, get_extent, transform

    data = SpatialData.read(path)
    circles = transform(data["spots"], to_coordinate_system="global")
    np.testing.assert_allclose(np.stack([circles.geometry.x, circles.geometry.y], axis=1), SLIDE.section.pixel_xy)
    np.testing.assert_allclose(circles["radius"], 50.0)
    extent = get_extent(data["he"], coordinate_system="global")
    assert extent == {"x": (0.0, 1200.0), "y": (0.0, 1200.0)}
    pixels = data["he"].transpose("y", "x", "c")
    np.testing.assert_array_equal(pixels.values, picture())


def test_a_spot_finds_the_pixels_under_it(path: Path) -> None:
    from spatialdata import SpatialData, bounding_box_query

    data = SpatialData.read(path)
    x, y = SLIDE.section.pixel_xy[7]
    under = bounding_box_query(
        data["he"],
        axes=("x", "y"),
        min_coordinate=np.array([x - 50, y - 50]),
        max_coordinate=np.array([x + 50, y + 50]),
        target_coordinate_system="global",
    )
    red, green = (float(under.sel(c=channel).mean()) for channel in "rg")
    assert (red, green) == pytest.approx((y / 1200 * 255, x / 1200 * 255), abs=1.5)


def test_a_slide_without_an_image_is_valid_too(tmp_path: Path) -> None:
    from spatialdata import SpatialData

    write_spatialdata(bare_slide(), tmp_path / "A1.zarr")
    data = SpatialData.read(tmp_path / "A1.zarr")
    assert list(data.images) == []
    assert len(data["spots"]) == len(data["predicted"]) == SLIDE.n_spots


def test_equal_slides_give_equal_bytes_and_replace_each_other(path: Path, tmp_path: Path) -> None:
    store = tmp_path / "A1.zarr"
    for slide in (bare_slide(), predicted_slide()):
        write_spatialdata(slide, store)
    files, expected = (
        {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}
        for root in (store, path)
    )
    assert files == expected
    assert list(tmp_path.iterdir()) == [store]
