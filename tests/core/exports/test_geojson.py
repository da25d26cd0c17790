"""GeoJSON of a predicted slide is what QuPath reads: detections with numbers, in pixels of the slide."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import colormaps
from shapely.geometry import shape

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.region_shapes import read_shapes
from gr2st_core.errors import PanelError
from gr2st_core.exports.geojson import MOST_GENES, shown_genes, write_geojson
from samples.predicted_slides import GENES, HOSTILE, SUPPORT, bare_slide, predicted_slide

SLIDE = predicted_slide()


def features(path: Path, **options: Any) -> list[dict[str, Any]]:
    write_geojson(options.pop("slide", SLIDE), path, **options)
    collection = json.loads(path.read_bytes())
    assert collection["type"] == "FeatureCollection"
    return collection["features"]


def test_every_spot_is_a_circle_of_its_size_at_its_place(tmp_path: Path) -> None:
    found = features(tmp_path / "A1.geojson")
    assert [item["properties"]["name"] for item in found] == SLIDE.section.spot_ids.tolist()
    assert len({item["id"] for item in found}) == SLIDE.n_spots
    for item, xy in zip(found, SLIDE.section.pixel_xy, strict=True):
        area = shape(item["geometry"])
        assert item["type"] == "Feature"
        assert item["properties"]["objectType"] == "detection"
        assert area.is_valid
        assert area.centroid.coords[0] == pytest.approx(xy, abs=0.01)
        assert area.bounds == pytest.approx([*(xy - 50), *(xy + 50)], abs=0.01)  # 50 um at 0.5 um/px


def test_measurements_are_the_numbers_of_the_slide(tmp_path: Path) -> None:
    assert SLIDE.intervals is not None
    assert SLIDE.ood_distance is not None
    assert SLIDE.is_unusual is not None
    parts = {"predicted": SLIDE.prediction.values, "lower": SLIDE.intervals.lower, "upper": SLIDE.intervals.upper}
    for row, item in enumerate(features(tmp_path / "A1.geojson", genes=[HOSTILE, "ERBB2"])):
        numbers = item["properties"]["measurements"]
        for gene in (HOSTILE, "ERBB2"):
            for part, values in parts.items():
                assert np.float32(numbers.pop(f"{gene}: {part}")) == values[row, GENES.index(gene)]
        assert numbers.pop("OOD: distance") == SLIDE.ood_distance[row]
        assert numbers.pop("OOD: unusual") == float(SLIDE.is_unusual[row])
        assert list(numbers) == ["OOD: quantile"]


def test_spots_are_coloured_by_the_first_gene(tmp_path: Path) -> None:
    values = SLIDE.prediction.values[:, GENES.index("KRT18")]
    low, high = np.percentile(values, [2, 98])
    for item, value in zip(features(tmp_path / "A1.geojson", genes=["KRT18", "ACTB"]), values, strict=True):
        expected = colormaps["viridis"](float(np.clip((value - low) / (high - low), 0, 1)), bytes=True)[:3]
        assert item["properties"]["color"] == pytest.approx([int(part) for part in expected], abs=1)


def test_regions_are_classes_that_are_read_back(tmp_path: Path) -> None:
    path, faults = tmp_path / "A1.geojson", Faults()
    found = features(path)
    np.testing.assert_array_equal(read_shapes(path, SLIDE.section.pixel_xy, faults), SLIDE.regions)
    assert len(faults) == 0
    assert SLIDE.reference_spots is not None
    assert found[0]["properties"]["metadata"]["reference spots"].split(", ") == SLIDE.reference_spots[0].tolist()


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    for item in features(tmp_path / "bare.geojson", slide=bare_slide()):
        assert set(item["properties"]) == {"objectType", "name", "color", "measurements"}
        assert set(item["properties"]["measurements"]) == {f"{gene}: predicted" for gene in GENES}
    numbers = features(tmp_path / "A1.geojson", genes=["HLA-A"])[0]["properties"]["measurements"]
    assert {name for name in numbers if name.startswith("HLA-A")} == {"HLA-A: predicted"}  # it has no interval


def test_the_file_is_plain_ascii_and_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_geojson(predicted_slide(), tmp_path / name)
    content = (tmp_path / "one").read_bytes()
    assert content == (tmp_path / "two").read_bytes()
    assert content.isascii()
    assert json.loads(content)["support"] == dict(zip(GENES, SUPPORT, strict=True))
    assert json.loads(content)["gr2st"] == json.loads(SLIDE.document)


def test_a_constant_gene_has_a_colour(tmp_path: Path) -> None:
    slide = predicted_slide()
    slide.prediction.values[:, 0] = 1.0
    colours = {tuple(item["properties"]["color"]) for item in features(tmp_path / "A1.geojson", slide=slide)}
    assert colours == {tuple(colormaps["viridis"](0.0, bytes=True)[:3])}


def test_large_panels_are_shown_by_their_markers() -> None:
    others = tuple(f"G{number}" for number in range(MOST_GENES))
    assert shown_genes(others) == others
    assert shown_genes((*others, "KRT18", "ERBB2")) == ("ERBB2", "KRT18")
    assert shown_genes((*others, "G50", "G51")) == others


@pytest.mark.parametrize("genes", [["ERBB2", "XYZ"], ["ERBB2", "ERBB2"], []])
def test_genes_that_cannot_be_written_are_refused_before_anything_is(genes: list[str], tmp_path: Path) -> None:
    with pytest.raises(PanelError) as caught:
        write_geojson(SLIDE, tmp_path / "A1.geojson", genes)
    assert caught.value.context["field"] == "genes"
    assert list(tmp_path.iterdir()) == []
