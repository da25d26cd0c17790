"""Labels that a person gave come to the spots they mean, and whatever is wrong with a label file is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gr2st_core.cohorts.faults import MAX_PER_TABLE, Faults
from gr2st_core.cohorts.her2st import Her2stReader
from gr2st_core.cohorts.regions import read_regions, region_files
from gr2st_core.errors import AlignmentError, DataError

SPOT_IDS = np.array(["3x2", "4x2", "3x3", "4x3"])
ARRAY_XY = np.array([[3, 2], [4, 2], [3, 3], [4, 3]], dtype=float)
PIXEL_XY = np.array([[300, 200], [400, 200], [300, 300], [400, 300]], dtype=float)


def read(path: Path, content: object) -> tuple[list[str], Faults]:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    faults = Faults(section="toy/A1")
    return read_regions(path, SPOT_IDS, ARRAY_XY, PIXEL_XY, faults).tolist(), faults


def labels_of(path: Path, content: object) -> list[str]:
    labels, faults = read(path, content)
    assert [str(fault) for fault in faults.found] == []
    return labels


def fault_of(path: Path, content: object) -> DataError:
    _, faults = read(path, content)
    assert len(faults) == 1, [str(fault) for fault in faults.found]
    assert faults.found[0].context["file"] == path
    assert faults.found[0].context["section"] == "toy/A1"
    return faults.found[0]


def box(left: float, top: float, right: float, bottom: float) -> dict[str, Any]:
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    return {"type": "Polygon", "coordinates": [ring]}


def feature(name: str | None, geometry: object, number: str = "f1") -> dict[str, Any]:
    properties = {} if name is None else {"classification": {"name": name, "color": [200, 0, 0]}}
    return {"type": "Feature", "id": number, "geometry": geometry, "properties": properties}


def collection(*features: object) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}


@pytest.mark.parametrize(
    "text",
    [
        "spot_id\tlabel\n4x2\ttumour\n3x3\tfat\n",
        "label\tspot_id\ntumour\t4x2\nfat\t3x3\nNA\t3x2\n",
        "x\ty\tlabel\n4.02\t1.97\ttumour\n3.1\t3\tfat\nNA\tNA\tfat\n\t3\tfat\n",
        "Row.names\tx\ty\tpixel_x\tpixel_y\tlabel\n9x9\t4.02\t1.97\t1\t1\ttumour\n8x8\t3\t3\t1\t1\tfat\n",
        "\txcoord\tycoord\tlab\ttumor\n1\t4.02\t1.97\ta\ttumour\n2\t3\t3\tb\tfat\n",
        "xcoord\tycoord\tlab\ttumor\r1\t4.02\t1.97\ta\ttumour\r2\t3\t3\tb\tfat\r",
        "spot_id\tlabel\n4x2\ttumour\n4x2\ttumour\n3x3\tfat\n9x9\tfat\n",
    ],
    ids=["by id", "any order", "by position", "her2st", "He et al.", "by R", "repeated and left out"],
)
def test_a_table_labels_the_spots_it_names(tmp_path: Path, text: str) -> None:
    assert labels_of(tmp_path / "A1.tsv", text) == ["", "tumour", "fat", ""]


@pytest.mark.parametrize(
    ("text", "message", "field"),
    [
        ("spot_id\tregion\n4x2\ttumour\n", "the columns of a table are not the expected ones", "header"),
        ("spot_id\tlabel\n", "a table is empty", None),
        ("spot_id\tlabel\n4x2\n", "a row is longer or shorter than the header", "line 2"),
        ("spot_id\tlabel\n4x2\ttumour\n4x2\tfat\n", "a spot has two labels", "line 3"),
        ("spot_id\tlabel\n4x2\ttu\x07mour\n", "a region label is unusable", "line 2"),
        ("spot_id\tlabel\n4x2\t" + "x" * 300 + "\n", "a region label is unusable", "line 2"),
        ("x\ty\tlabel\n4\there\ttumour\n", "a coordinate is not a number", "line 2"),
        ("x\ty\tlabel\n4\tinf\ttumour\n", "a coordinate is not a number", "line 2"),
        ("spot_id\tlabel\n9x9\ttumour\n8x8\tfat\n4x2\tfat\n", "most labelled spots do not exist", "spot"),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, text: str, message: str, field: str | None) -> None:
    fault = fault_of(tmp_path / "A1.tsv", text)
    assert (fault.message, fault.context.get("field")) == (message, field)


def test_polygons_label_the_spots_inside_and_on_their_border(tmp_path: Path) -> None:
    drawn = collection(feature("tumour", box(350, 100, 450, 250)), feature(None, box(0, 0, 900, 900)))
    assert labels_of(tmp_path / "A1.geojson", drawn) == ["", "tumour", "", ""]
    border = collection(feature("tumour", box(400, 200, 900, 900)))
    assert labels_of(tmp_path / "A1.geojson", border) == ["", "tumour", "", "tumour"]


@pytest.mark.parametrize("order", [1, -1])
def test_the_smallest_of_overlapping_regions_wins(tmp_path: Path, order: int) -> None:
    regions = [
        feature("tissue", box(0, 0, 900, 900)),
        feature("tumour", box(350, 100, 450, 400)),
        feature("vessel", box(390, 190, 410, 210)),
    ]
    assert labels_of(tmp_path / "A1.geojson", collection(*regions[::order])) == [
        "tissue",
        "vessel",
        "tissue",
        "tumour",
    ]


def test_holes_parts_and_every_wrapping_are_understood(tmp_path: Path) -> None:
    hole = box(0, 0, 900, 900)
    hole["coordinates"].append(box(390, 190, 410, 210)["coordinates"][0])
    assert labels_of(tmp_path / "A1.geojson", [feature("a", hole)]) == ["a", "", "a", "a"]
    parts = {"type": "MultiPolygon", "coordinates": [box(*at, at[0] + 9, at[1] + 9)["coordinates"] for at in _AT]}
    derived = feature(None, parts) | {"properties": {"classification": {"names": ["Tumor", "Positive"]}}}
    assert labels_of(tmp_path / "A1.geojson", derived) == ["Tumor: Positive", "", "", "Tumor: Positive"]


_AT = ((299, 199), (399, 299))
_BOW_TIE = {"type": "Polygon", "coordinates": [[[0, 0], [900, 900], [900, 0], [0, 900], [0, 0]]]}


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        (_BOW_TIE, "an annotation has a malformed geometry"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, "an annotation has a malformed geometry"),
        (
            {"type": "Polygon", "coordinates": [[["a", 0], [1, 1], [2, 2], [0, 0]]]},
            "an annotation has a malformed geometry",
        ),
        ({"type": "Polygon", "coordinates": []}, "an annotation has a malformed geometry"),
        ({"type": "Polygon"}, "an annotation has a malformed geometry"),
        (
            {"type": "Polygon", "coordinates": [[[0, 0], [float("nan"), 9], [9, 9], [0, 0]]]},
            "an annotation has a malformed geometry",
        ),
        ({"type": "Point", "coordinates": [1, 2]}, "an annotation has no area"),
        (None, "an annotation has no area"),
    ],
)
def test_a_malformed_region_is_named_and_the_others_are_read(tmp_path: Path, geometry: object, message: str) -> None:
    path = tmp_path / "A1.geojson"
    content = collection(feature("good", box(350, 100, 450, 250)), feature("bad", geometry, "7c1b"))
    fault = fault_of(path, content)
    assert (fault.message, fault.context["field"]) == (message, "feature 7c1b")
    assert read(path, content)[0] == ["", "good", "", ""]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "an annotation file is not JSON"),
        ("[" * 100_000, "an annotation file is not JSON"),
        ('"text"', "an annotation file is not GeoJSON"),
        ('{"features": 3}', "an annotation file is not GeoJSON"),
    ],
)
def test_a_file_that_is_no_geojson_is_named(tmp_path: Path, content: str, message: str) -> None:
    assert fault_of(tmp_path / "A1.geojson", content).message == message


def test_regions_that_hold_no_spot_are_a_fault(tmp_path: Path) -> None:
    fault = fault_of(tmp_path / "A1.geojson", collection(feature("tumour", box(3, 2, 4, 3))))
    assert isinstance(fault, AlignmentError)
    assert fault.message == "no spot lies in an annotated region"
    assert fault.context["found"] == "regions within [3.0, 2.0, 4.0, 3.0]"


def test_a_file_of_faults_is_not_read_to_its_end(tmp_path: Path) -> None:
    _, faults = read(tmp_path / "A1.geojson", collection(*[feature("bad", _BOW_TIE)] * 50))
    assert len(faults) == MAX_PER_TABLE


def test_two_label_files_of_one_section_are_a_fault(tmp_path: Path) -> None:
    folder = tmp_path / "regions"
    labels_of(folder / "A1.tsv", "spot_id\tlabel\n4x2\ttumour\n")
    fault = fault_of(folder / "A1.geojson", collection(feature("tumour", box(350, 100, 450, 250))))
    assert (fault.message, fault.context["found"]) == ("a section has two label files", ["A1.tsv", "A1.geojson"])


def test_label_files_are_found_by_section(tmp_path: Path) -> None:
    assert region_files(tmp_path) == {}
    (tmp_path / "regions").mkdir()
    for name in ("A1.tsv", "P2_ST.rep1.geojson", "README.md"):
        (tmp_path / "regions" / name).touch()
    assert {section: path.name for section, path in region_files(tmp_path).items()} == {
        "A1": "A1.tsv",
        "P2_ST.rep1": "P2_ST.rep1.geojson",
    }


def test_labels_of_her2st_follow_their_spots(cohort: Path) -> None:
    labels = cohort / "data/ST-pat/lbl/A1_labeled_coordinates.tsv"
    labels.parent.mkdir(parents=True)
    labels.write_text("Row.names\tx\ty\tpixel_x\tpixel_y\tlabel\na\t4.3\t2.96\t1\t1\tfat\nb\t3.1\t2.6\t1\t1\ttumour\n")
    entries, faults = Her2stReader().entries("toy", cohort)
    assert faults == []
    sections = {entry.key.section_id: Her2stReader().read(entry) for entry in entries}
    assert sections["B1"].regions is None
    assert sections["A1"].spot_ids.tolist() == ["3x2", "4x2", "3x3"]
    regions = sections["A1"].regions
    assert regions is not None
    assert regions.tolist() == ["", "", "tumour"]


def test_the_generic_file_wins_over_the_layouts_own(cohort: Path) -> None:
    (cohort / "regions").mkdir()
    (cohort / "regions/A1.geojson").write_text(json.dumps(collection(feature("fat", box(350, 100, 450, 250)))))
    regions = Her2stReader().read(Her2stReader().entries("toy", cohort)[0][0]).regions
    assert regions is not None
    assert regions.tolist() == ["", "fat", ""]


def test_her2st_takes_its_pitch_from_the_cohort_file(cohort: Path) -> None:
    (cohort / "cohort.yml").write_text("pitch_um: 100\n")
    section = Her2stReader().read(Her2stReader().entries("toy", cohort)[0][0])
    assert (section.pitch_um, section.um_per_px) == (100.0, 1.0)
