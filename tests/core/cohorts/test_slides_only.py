"""Slides without counts: spots as given, or on a grid over the tissue."""

import os

import numpy as np
import pytest
import tifffile
from PIL import Image

from gr2st_core.cohorts.her2st import Her2stReader
from gr2st_core.cohorts.registry import READERS, find_reader
from gr2st_core.cohorts.slides_only import SlidesReader
from gr2st_core.errors import CohortError, ImageError, MissingArtifactError, SchemaError
from gr2st_core.settings import Limits

WIDTH, HEIGHT = 600, 400
READER = SlidesReader()


def stained():
    """An ellipse of tissue in the middle of the glass."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    tissue = ((x - 300) / 200) ** 2 + ((y - 200) / 150) ** 2 < 1
    noise = np.random.default_rng(0).normal(0, 20, (HEIGHT, WIDTH, 3))
    return np.where(tissue[..., None], np.array([190, 90, 150]) + noise, 244).clip(0, 255).astype(np.uint8)


PIXELS = stained()
APERIO = "Aperio Image Library v12.0.16\n600x400 (64x64)|AppMag = 20|MPP = 2.0"


def svs(path):
    tifffile.imwrite(path, PIXELS, tile=(64, 64), photometric="rgb", description=APERIO, metadata=None)


def ome(path):
    facts = {"axes": "YXS", "PhysicalSizeX": 2.0, "PhysicalSizeY": 2.0}
    tifffile.imwrite(path, PIXELS, tile=(64, 64), photometric="rgb", ome=True, metadata=facts)


def plain(path):
    Image.fromarray(PIXELS).save(path)


def spots_csv(path, rows, separator=","):
    lines = [("spot_id", "pixel_x", "pixel_y"), *rows]
    path.write_text("".join(separator.join(map(str, line)) + "\n" for line in lines))


GRID = [(f"{i + 3}x{j + 5}", 100 + 50 * i, 150 + 50 * j) for i in range(4) for j in range(3)]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    return folder


def entry_of(folder, section="S1"):
    return next(entry for entry in READER.entries("new", folder)[0] if entry.key.section_id == section)


def read(folder, section="S1", **limits):
    return READER.read(entry_of(folder, section), Limits(**limits))


def test_the_reader_of_bare_images_is_tried_last_and_knows_images_by_content(folder):
    assert isinstance(READERS[-1], SlidesReader)
    (folder / "S1.jpg").write_bytes(b"no image")
    with pytest.raises(MissingArtifactError, match="no reader"):
        find_reader(folder)
    plain(folder / "S2.png")
    assert find_reader(folder) is READERS[-1]


@pytest.mark.parametrize("place", ["S1.spots.csv", "spots/S1.tsv"])
@pytest.mark.parametrize("first", ["1x1", "cell-1"])
def test_given_coordinates_are_no_sign_of_another_layout(folder, place, first):
    plain(folder / "S1.png")
    (folder / place).parent.mkdir(exist_ok=True)
    spots_csv(folder / place, [(first, 10, 10), ("2x1", 20, 10)], "," if place.endswith("csv") else "\t")
    assert find_reader(folder) is READERS[-1]


def test_a_cohort_with_counts_and_images_is_not_its(folder):
    (folder / "data" / "ST-cnts").mkdir(parents=True)
    plain(folder / "overview.png")
    assert isinstance(find_reader(folder), Her2stReader)


def test_hostile_folders_are_not_recognised_and_raise_nothing(folder, tmp_path):
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "dir.svs").mkdir()
    assert not READER.recognises(folder)
    assert not READER.recognises(tmp_path / "nowhere")


def test_every_kind_of_image_is_a_section_named_by_its_stem_and_its_own_patient(folder):
    svs(folder / "S1.svs")
    ome(folder / "S2.ome.tiff")
    for name in ("S3.png", "S4.jpg", "S5.JPEG", "S6.tif"):
        plain(folder / name)
    (folder / "LICENSE").write_text("free")
    (folder / "README.md").write_text("slides")
    entries, faults = READER.entries("new", folder)
    assert faults == []
    assert [str(entry.key) for entry in entries] == [f"new/S{n}" for n in range(1, 7)]
    assert [entry.patient_id for entry in entries] == [f"S{n}" for n in range(1, 7)]


@pytest.mark.parametrize(("make", "name"), [(svs, "S1.svs"), (ome, "S1.ome.tif")])
def test_spots_are_laid_on_tissue_at_the_pitch_by_the_resolution_of_the_file(folder, make, name):
    make(folder / name)
    raw = read(folder)
    assert (raw.um_per_px, raw.pitch_um, raw.pitch_px, raw.counts) == (2.0, 100.0, 50.0, None)
    assert np.array_equal(raw.pixel_xy, (raw.array_xy + 0.5) * 50)
    x, y = ((raw.pixel_xy - (300, 200)) / (200, 150)).T
    assert (x**2 + y**2 < 1.1).all()
    centres = {(column, row) for column in range(12) for row in range(8)}
    inside = {(c, r) for c, r in centres if ((c * 50 + 25 - 300) / 200) ** 2 + ((r * 50 + 25 - 200) / 150) ** 2 < 0.9}
    assert inside <= {tuple(place) for place in raw.array_xy.astype(int).tolist()}
    assert raw.spot_ids.tolist() == [f"{column}x{row}" for column, row in raw.array_xy.astype(int).tolist()]
    assert np.array_equal(read(folder).pixel_xy, raw.pixel_xy)


def test_pitch_and_scale_of_the_cohort_file_are_used(folder):
    plain(folder / "S1.png")
    (folder / "cohort.yml").write_text("um_per_px: 1.0\npitch_um: 25\n")
    raw = read(folder)
    assert (raw.um_per_px, raw.pitch_um, raw.pitch_px) == (1.0, 25.0, 25.0)
    assert "facts" in entry_of(folder).files


def test_the_scale_of_the_image_file_comes_before_that_of_the_cohort_file(folder):
    svs(folder / "S1.svs")
    (folder / "cohort.yml").write_text("um_per_px: 1.0\n")
    assert read(folder).um_per_px == 2.0


def test_a_slide_without_a_scale_is_a_fault_that_says_how_to_give_it(folder):
    plain(folder / "S1.png")
    with pytest.raises(SchemaError, match="how many micrometres") as caught:
        read(folder)
    assert caught.value.context["field"] == "um_per_px"
    assert caught.value.context["section"] == "new/S1"
    assert "um_per_px:" in caught.value.context["hint"]


@pytest.mark.parametrize("place", ["S1.spots.csv", "spots/S1.tsv"])
def test_given_coordinates_are_used_and_the_pitch_of_their_grid_gives_the_scale(folder, place):
    plain(folder / "S1.png")
    (folder / place).parent.mkdir(exist_ok=True)
    spots_csv(folder / place, GRID, "," if place.endswith("csv") else "\t")
    (folder / "cohort.yml").write_text("pitch_um: 200\n")
    raw = read(folder)
    assert raw.spot_ids.tolist() == [spot_id for spot_id, _, _ in GRID]
    assert raw.array_xy[0].tolist() == [3.0, 5.0]
    assert raw.pixel_xy[1].tolist() == [100.0, 200.0]
    assert (raw.pitch_px, raw.um_per_px, raw.pitch_um) == (50.0, 4.0, 200.0)


def test_given_coordinates_of_any_name_get_a_grid_position_by_their_pitch(folder):
    svs(folder / "S1.svs")
    spots_csv(folder / "S1.spots.csv", [(f"cell-{n}", 100 + 40 * n, 200) for n in range(4)])
    raw = read(folder)
    assert raw.array_xy.tolist() == [[0, 0], [1, 0], [2, 0], [3, 0]]
    assert (raw.pitch_px, raw.um_per_px, raw.pitch_um) == (40.0, 2.0, 80.0)


def test_one_given_spot_has_the_pitch_that_would_be_laid(folder):
    svs(folder / "S1.svs")
    spots_csv(folder / "S1.spots.csv", [("a", 300, 200)])
    assert read(folder).pitch_px == 50.0


def test_every_fault_of_a_slide_is_reported_at_once(folder):
    plain(folder / "S1.png")
    (folder / "S1.png").write_bytes((folder / "S1.png").read_bytes()[:100])
    spots_csv(
        folder / "S1.spots.csv", [("1x1", "left", 3), ("1x2", 5, "nan"), ("", 1, 1), ("1x3", 4, 4), ("1x3", 5, 5)]
    )
    with pytest.raises(CohortError) as caught:
        read(folder)
    faults = caught.value.faults
    assert [fault.context.get("field") for fault in faults] == ["line 2", "line 3", "line 4", "spot_id", None]
    assert isinstance(faults[-1], ImageError)
    assert {fault.context["section"] for fault in faults} == {"new/S1"}


def test_a_slide_without_tissue_is_a_fault_that_says_what_to_give(folder):
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 244, np.uint8)).save(folder / "S1.png")
    (folder / "cohort.yml").write_text("um_per_px: 2.0\n")
    with pytest.raises(ImageError, match="tissue") as caught:
        read(folder)
    assert "S1" in caught.value.context["section"]
    assert "spots.csv" in caught.value.context["hint"]


def test_more_spots_than_allowed_are_refused_before_they_are_laid(folder):
    svs(folder / "S1.svs")
    (folder / "cohort.yml").write_text("pitch_um: 0.001\n")
    with pytest.raises(SchemaError, match="too many spots") as caught:
        read(folder)
    assert "limits.max_spots" in caught.value.context["hint"]
    spots_csv(folder / "S1.spots.csv", GRID)
    with pytest.raises(SchemaError, match="too many spots"):
        read(folder, max_spots=5)


def test_faults_of_a_listing_cost_their_section_alone(folder, tmp_path):
    plain(folder / "S1.png")
    plain(folder / "S2.png")
    plain(folder / "S2.jpg")
    plain(folder / "bad name.png")
    spots_csv(folder / "S3.spots.csv", GRID)
    (folder / "counts.tsv").write_text("gene\n")
    plain(tmp_path / "outside.png")
    (folder / "S4.png").symlink_to(tmp_path / "outside.png")
    (folder / "patients.tsv").write_text("section_id\tpatient_id\nS1\tP7\nS9\tP8\n")
    entries, faults = READER.entries("new", folder)
    assert [(entry.key.section_id, entry.patient_id) for entry in entries] == [("S1", "P7")]
    found = {fault.message: fault.context for fault in faults}
    assert found["a folder of slides holds other files, which nobody reads"]["found"] == ["counts.tsv"]
    assert found["the patient table names sections that the folder does not hold"]["found"] == ["S9"]
    assert found["a section has more than one image"]["section"] == "new/S2"
    assert found["a section has no image"]["section"] == "new/S3"
    assert found["a file lies outside its cohort folder"]["section"] == "new/S4"
    assert found["a section has an unusable name"]["found"] == "'bad name'"
    assert len(faults) == 6


def test_a_damaged_cohort_file_lists_no_slide(folder):
    svs(folder / "S1.svs")
    (folder / "cohort.yml").write_text("pitch: 3\n")
    entries, faults = READER.entries("new", folder)
    assert entries == []
    assert faults[0].context["field"] == "pitch"


def test_the_tiles_of_a_mrxs_slide_are_a_file_of_its_section(folder):
    plain(folder / "S1.jpg")
    (folder / "S1.jpg").rename(folder / "S1.mrxs")
    (folder / "S1").mkdir()
    (folder / "S1" / "Data0000.dat").write_bytes(b"tiles")
    assert entry_of(folder).files["tiles"] == folder / "S1"
