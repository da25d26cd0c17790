"""Bad cohort folders through the command: every fault named, the other sections registered."""

import gzip
import shutil

import numpy as np
import pytest
from dagster import DagsterInstance
from PIL import Image

pytestmark = pytest.mark.slow


def rewrite(path, change):
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    path.write_bytes(gzip.compress("\n".join(change(lines)).encode() + b"\n", mtime=0))


def set_first_count(value):
    def change(lines):
        cells = lines[1].split("\t")
        return [lines[0], "\t".join([cells[0], value, *cells[2:]]), *lines[2:]]

    return lambda folder: rewrite(folder / "data/ST-cnts/A1.tsv.gz", change)


def truncate_gzip(folder):
    path = folder / "data/ST-cnts/A1.tsv.gz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def make_ragged(folder):
    rewrite(folder / "data/ST-cnts/A1.tsv.gz", lambda lines: [*lines[:-1], lines[-1] + "\t1"])


def repeat_spot(folder):
    rewrite(folder / "data/ST-cnts/A1.tsv.gz", lambda lines: [*lines, lines[-1]])


def spots(folder):
    return folder / "data/ST-spotfiles/A1_selection.tsv"


def move_spot_off_image(folder):
    lines = spots(folder).read_text().splitlines()
    header, cells = lines[0].split("\t"), lines[5].split("\t")
    cells[header.index("pixel_x")] = "99999"
    spots(folder).write_text("\n".join([*lines[:5], "\t".join(cells), *lines[6:]]) + "\n")


def rename_column(folder):
    spots(folder).write_text(spots(folder).read_text().replace("pixel_x", "px_horizontal", 1))


def image(folder):
    return next((folder / "data/ST-imgs/A/A1").iterdir())


def truncate_image(folder):
    path = image(folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def make_image_huge(folder):
    path = image(folder)
    path.unlink()
    Image.fromarray(np.zeros((17_000, 17_000), np.uint8)).save(path.with_suffix(".png"))


def add_second_image(folder):
    path = image(folder)
    shutil.copy(path, path.with_name("another.jpg"))


def name_with_dots(folder):
    shutil.copy(folder / "data/ST-cnts/A1.tsv.gz", folder / "data/ST-cnts/..A9.tsv.gz")


FAULTS = [
    (truncate_gzip, "A1.tsv.gz"),
    (make_ragged, "A1.tsv.gz"),
    (set_first_count("-1"), "A1.tsv.gz"),
    (set_first_count("0.5"), "A1.tsv.gz"),
    (repeat_spot, "A1.tsv.gz"),
    (move_spot_off_image, "image"),
    (rename_column, "A1_selection.tsv"),
    (truncate_image, "truncated"),
    (make_image_huge, "megapixel"),
    (add_second_image, "image"),
    (name_with_dots, "..A9"),
]


@pytest.mark.parametrize(("spoil", "named"), FAULTS)
def test_a_fault_is_named_and_costs_its_section_only(cohort, tmp_path, monkeypatch, spoil, named, capsys):
    from gr2st_assets import register
    from gr2st_assets.journeys import add_cohort
    from gr2st_assets.lake import Lake

    folder = tmp_path / "cohort"
    shutil.copytree(cohort, folder)
    spoil(folder)
    (tmp_path / "dagster").mkdir()
    monkeypatch.setenv("GR2ST_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    said = []
    assert add_cohort("bad", folder, False, said.append) == 1
    faults = [line for line in said if line.startswith("fault:")]
    assert faults
    assert any(named.lower() in line.lower() for line in faults), faults
    kept = {entry.key.section_id for entry in register.load(Lake(tmp_path / "lake"), "bad").entries}
    # a file of no section costs nothing; any other fault costs its section and no other
    assert kept == {"A2", "B1", "B2"} | ({"A1"} if spoil is name_with_dots else set())
    with DagsterInstance.get() as instance:  # what the UI offers to materialize
        assert {key.partition("/")[2] for key in instance.get_dynamic_partitions("sections")} == kept
