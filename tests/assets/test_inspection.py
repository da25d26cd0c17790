"""What a cohort folder must pass, in a process that may break."""

import gzip
import os
import shutil
import signal

import pytest

from gr2st_assets import parsing_child, register
from gr2st_assets.inspection import _trusted, inspect
from gr2st_assets.lake import Lake
from gr2st_assets.parsing import SectionParser
from gr2st_core.cohorts.her2st import Her2stReader
from gr2st_core.cohorts.legacy import LegacyReader
from gr2st_core.cohorts.records import SectionEntry
from gr2st_core.cohorts.registry import find_reader
from gr2st_core.cohorts.synthetic import make_synthetic_cohort
from gr2st_core.errors import CohortError, DataError, MissingArtifactError, SchemaError
from gr2st_core.keys import SectionKey
from gr2st_core.settings import Limits, Settings


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort") / "tiny"
    make_synthetic_cohort(folder, n_patients=2, sections_per_patient=2)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "tiny")


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


@pytest.fixture(scope="module")
def parser():
    parser = SectionParser(Limits())
    yield parser
    parser.close()


def entry_of(folder, section="A1"):
    return next(entry for entry in Her2stReader().entries("tiny", folder)[0] if entry.key.section_id == section)


def look(lake, folder, **settings):
    return inspect(lake, "tiny", folder, Settings(**settings), lambda *_: None, {})


def copy_section(folder, source, target):
    """Give ``target`` the counts and spots of ``source``."""
    for name in ("data/ST-cnts/{}.tsv.gz", "data/ST-spotfiles/{}_selection.tsv"):
        shutil.copy(folder / name.format(source), folder / name.format(target))


def test_a_section_comes_through_the_process_alike(made, parser):
    entry = entry_of(made)
    expected, found = Her2stReader().read(entry), parser.read("her2st", made, entry)
    assert (found.counts.matrix != expected.counts.matrix).nnz == 0
    assert found.counts.matrix.dtype == expected.counts.matrix.dtype
    assert found.counts.genes == expected.counts.genes
    for name in ("spot_ids", "array_xy", "pixel_xy"):
        assert (getattr(found, name) == getattr(expected, name)).all()
    for name in ("key", "patient_id", "um_per_px", "pitch_px", "image_path", "n_spots_without_counts"):
        assert getattr(found, name) == getattr(expected, name)


def test_labels_and_notes_come_through_the_process(tmp_path, parser):
    folder = tmp_path / "legacy"
    (folder / "regions").mkdir(parents=True)
    (folder / "P2_ST_rep1_stdata.tsv").write_text("\tENSG00000075624\n1x1\t3\n2x1\t4\n")
    (folder / "P2_ST_rep1.spots.txt").write_text("x\ty\tpixel_x\tpixel_y\n1\t1\t9\t9\n2\t1\t19\t9\n")
    (folder / "regions/P2_ST_rep1.tsv").write_text("spot_id\tlabel\n2x1\ttumour\n")
    entry = LegacyReader().entries("toy", folder)[0][0]
    raw, facts = parser.read("legacy-st", folder, entry), parser.inspect("legacy-st", folder, entry)
    assert raw.regions.tolist() == ["", "tumour"]
    assert raw.notes == tuple(facts["notes"]) == LegacyReader().read(entry).notes
    assert raw.notes[0].startswith("genes are named by Ensembl ids")
    assert facts["n_regions"] == 1


def test_faults_come_back_as_they_were_raised(folder, parser):
    path = folder / "data/ST-cnts/A1.tsv.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    spoilt = [lines[0], *(line.replace("\t", "\t-", 1) for line in lines[1:])]
    path.write_bytes(gzip.compress("\n".join(spoilt).encode(), mtime=0))
    entry = entry_of(folder)
    with pytest.raises(CohortError) as here:
        Her2stReader().read(entry)
    with pytest.raises(CohortError) as there:
        parser.read("her2st", folder, entry)
    assert [str(fault) for fault in there.value.faults] == [str(fault) for fault in here.value.faults]
    assert {type(fault) for fault in there.value.faults} == {SchemaError}


def test_a_killed_process_costs_its_section_and_no_other(made, parser, monkeypatch):
    assert parser.inspect("her2st", made, entry_of(made))["n_spots"] > 0
    child = parser._running()
    child.send_signal(signal.SIGSEGV)
    monkeypatch.setattr(parser, "_running", lambda: child)
    with pytest.raises(DataError, match="died") as caught:
        parser.inspect("her2st", made, entry_of(made))
    monkeypatch.undo()
    assert caught.value.context["found"] == "signal 11"
    assert parser.inspect("her2st", made, entry_of(made, "B1"))["n_spots"] > 0


def test_a_section_that_takes_too_long_is_refused(made):
    parser = SectionParser(Limits(max_seconds=1))
    try:
        os.kill(parser._running().pid, signal.SIGSTOP)
        with pytest.raises(SchemaError, match="too long") as caught:
            parser.inspect("her2st", made, entry_of(made))
        assert caught.value.context["hint"].startswith("raise limits.max_seconds")
    finally:
        parser.close()


def test_a_section_that_takes_too_much_memory_is_refused(made, monkeypatch):
    task = {"layout": "her2st", "folder": str(made), "entry": entry_of(made).to_json(made), "out": None}

    def grow(*_):
        raise MemoryError

    monkeypatch.setattr(Her2stReader, "read", grow)
    (fault,) = parsing_child.answer({**task, "limits": Limits().model_dump()})["faults"]
    assert fault["context"]["hint"] == "raise limits.max_memory_mb"


def test_a_file_that_changes_while_it_is_read_is_refused(folder, monkeypatch):
    entry = entry_of(folder)
    read = Her2stReader.read

    def read_while_written(self, *arguments):
        raw = read(self, *arguments)
        with entry.files["spots"].open("a") as stream:
            stream.write("\n")
        return raw

    monkeypatch.setattr(Her2stReader, "read", read_while_written)
    task = {"layout": "her2st", "folder": str(folder), "entry": entry.to_json(folder), "out": None}
    (fault,) = parsing_child.answer({**task, "limits": Limits().model_dump()})["faults"]
    assert "changed while it was read" in fault["message"]
    assert fault["context"]["file"] == entry.files["spots"]


def test_the_same_counts_under_two_patients_cost_both_sections(folder, lake):
    copy_section(folder, "A1", "B2")
    found = look(lake, folder)
    assert [entry.key.section_id for entry in found.cohort.entries] == ["A2", "B1"]
    assert {fault.context["section"] for fault in found.faults} == {"tiny/A1", "tiny/B2"}
    assert all(fault.context["field"] == "counts" for fault in found.faults)


def test_the_same_counts_twice_of_one_patient_cost_the_second(folder, lake):
    copy_section(folder, "A1", "A2")
    found = look(lake, folder)
    assert [entry.key.section_id for entry in found.cohort.entries] == ["A1", "B1", "B2"]
    (fault,) = found.faults
    assert fault.context["found"] == "the same counts as tiny/A1"


def test_a_section_that_another_cohort_has_is_refused(made, lake, tmp_path):
    register.save(lake, inspect(lake, "first", made, Settings(), lambda *_: None, {}).cohort)
    found = look(lake, made)
    assert found.cohort.entries == ()
    assert {fault.context["field"] for fault in found.faults} == {"counts", "image"}
    again = inspect(lake, "first", made, Settings(), lambda *_: None, {})
    assert again.faults == []


def test_faults_are_kept_in_the_register(folder, lake):
    (folder / "data/ST-cnts/A1.tsv.gz").write_bytes(b"\x1f\x8b")
    found = look(lake, folder)
    register.save(lake, found.cohort, found.faults)
    (fault,) = register.faults(lake, "tiny")
    assert fault["section"] == "tiny/A1"
    assert fault["file"].endswith("A1.tsv.gz")
    assert fault["hint"] == "fetch the file again"


def test_a_process_that_died_between_two_sections_costs_none(made, parser):
    child = parser._running()
    child.kill()
    child.wait()
    assert parser.inspect("her2st", made, entry_of(made))["n_spots"] > 0


def test_whatever_decides_what_is_made_of_a_section_changes_its_digest(folder, parser):
    def facts():
        return parser.inspect("her2st", folder, entry_of(folder))

    found = [facts(), facts()]
    (folder / "patients.tsv").write_text("section_id\tpatient_id\nA1\tB\n")
    found.append(facts())
    spots = folder / "data/ST-spotfiles/A1_selection.tsv"
    *lines, last = spots.read_text().splitlines()
    cells = last.split("\t")
    spots.write_text("\n".join([*lines, "\t".join([*cells[:4], str(float(cells[4]) + 0.5), *cells[5:]])]) + "\n")
    found.append(facts())
    (folder / "cohort.yml").write_text("pitch_um: 150")
    found.append(facts())
    assert found[0]["entry"] == found[1]["entry"]
    assert len({facts["entry"] for facts in found}) == 4
    assert len({facts["image"] for facts in found}) == 1


def test_a_folder_is_listed_by_the_process_alike(folder, parser, tmp_path):
    (folder / "data/ST-spotfiles/B2_selection.tsv").unlink()
    entries, faults = Her2stReader().entries("tiny", folder)
    found = parser.list_folder("tiny", folder)
    assert (found.layout, found.entries) == ("her2st", entries)
    assert [(type(fault), str(fault)) for fault in found.faults] == [(type(fault), str(fault)) for fault in faults]
    assert found.faults[0].context["file"] == folder / "data/ST-spotfiles/B2_selection.tsv"
    (tmp_path / "odd").mkdir()
    with pytest.raises(MissingArtifactError) as here:
        find_reader(tmp_path / "odd")
    with pytest.raises(MissingArtifactError) as there:
        parser.list_folder("tiny", tmp_path / "odd")
    assert there.value.context == here.value.context


def test_a_file_that_breaks_the_listing_breaks_the_process_and_names_the_folder(folder, monkeypatch):
    def damaged(*_):
        raise AttributeError("group")

    monkeypatch.setattr(Her2stReader, "entries", damaged)
    task = {"folder": str(folder), "name": "tiny", "limits": Limits().model_dump()}
    (fault,) = parsing_child.answer(task)["faults"]
    assert fault["context"] == {"file": str(folder), "found": "AttributeError: group", "hint": "fetch the files again"}


def test_a_distrusted_file_costs_its_sections_in_a_folder_and_below_a_link_too(tmp_path):
    folder = tmp_path / "cohort"
    for name in ("A1.zarr", "B1.zarr"):
        (folder / name / "X").mkdir(parents=True)
        (folder / name / "X" / "0").touch()
    (tmp_path / "link").symlink_to(folder)
    keys = [SectionKey("toy", name) for name in ("A1", "B1")]
    entries = [SectionEntry(key, "A", {"sample": folder / f"{key.section_id}.zarr"}) for key in keys]
    path = tmp_path / "link" / "A1.zarr" / "X" / "0"
    wrong = SchemaError("a file is not what its checksum says", file=path)
    kept, (fault,) = _trusted(folder, entries, {path: wrong})
    assert kept == entries[1:]
    assert fault.context == {"file": path, "section": "toy/A1"}
    for name in ("patients.tsv", "cohort.yml"):
        assert _trusted(folder, entries, {tmp_path / "link" / name: wrong}) == ([], [wrong])
    assert _trusted(folder, entries, {folder / "README": wrong}) == (entries, [wrong])
