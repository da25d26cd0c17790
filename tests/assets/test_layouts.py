"""Cohorts of five sections in every layout, one of them faulty: it is refused by name, the others come in bit-exact."""

import gzip
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import zarr

from gr2st_assets import inspection, register
from gr2st_assets.lake import Lake
from gr2st_assets.parsing import SectionParser
from gr2st_core.cohorts.registry import READERS
from gr2st_core.errors import AlignmentError, DataError, ImageError, SchemaError
from gr2st_core.settings import Limits, Settings
from samples import cohorts, visium


class OneProcess(SectionParser):
    """The process of all tests here: starting one imports the libraries of every reader."""

    def close(self) -> None:
        """Keep it for the next test."""


@pytest.fixture(scope="module")
def parser():
    parser = OneProcess(Limits())
    yield parser
    SectionParser.close(parser)


@dataclass(frozen=True)
class Kind:
    """A layout, or a variant of one: the reader that knows it, five sections, and what writes one."""

    layout: str
    sections: tuple[str, ...]
    write: Callable[[Path, str, int], pd.DataFrame | None]


PLAIN = ("S1", "S2", "S3", "S4", "S5")
KINDS = {
    "her2st": Kind("her2st", ("A1", "A2", "B1", "C1", "D1"), cohorts.write_her2st),
    "cscc": Kind("legacy-st", tuple(f"P{n}_ST_rep1" for n in (2, 4, 5, 6, 9)), cohorts.write_cscc),
    "he": Kind("legacy-st", tuple(f"BC{n}_C1" for n in range(5)), cohorts.write_he),
    "spaceranger": Kind("spaceranger", PLAIN, cohorts.write_spaceranger),
    "visium-hd": Kind("spaceranger", PLAIN, cohorts.write_visium_hd),
    "wu2021": Kind("wu2021", ("1142243F", "1160920F", "CID4290", "CID4465", "CID44971"), cohorts.write_wu2021),
    "anndata": Kind("anndata", PLAIN, cohorts.write_anndata),
    "hest": Kind("hest", PLAIN, cohorts.write_hest),
    "spatialdata": Kind("spatialdata", PLAIN, cohorts.write_spatialdata),
    "slides": Kind("slides", PLAIN, cohorts.write_slides),
}


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def replace_text(old: str, new: str) -> Callable[[Path], None]:
    """Change a text, which may be packed."""

    def damage(path: Path) -> None:
        read, pack = (gzip.decompress, gzip.compress) if path.suffix == ".gz" else (bytes, bytes)
        text = read(path.read_bytes()).decode()
        assert old in text
        path.write_bytes(pack(text.replace(old, new).encode()))

    return damage


def negative_count(path: Path) -> None:
    first, second, rest = gzip.decompress(path.read_bytes()).decode().split("\n", 2)
    path.write_bytes(gzip.compress("\n".join([first, second.replace("\t", "\t-", 1), rest]).encode()))


def image_bomb(path: Path) -> None:
    """Make a JPEG declare 4 gigapixels."""
    data = bytearray(path.read_bytes())
    start_of_frame = data.index(b"\xff\xc0")
    data[start_of_frame + 5 : start_of_frame + 9] = b"\xff\xdc" * 2
    path.write_bytes(data)


def probes(path: Path) -> None:
    visium.write_h5(path, ids=[f"ENSG0{number}|TBCE|8eab82{number}" for number in range(4)])


def index_of_no_gene(path: Path) -> None:
    with h5py.File(path, "a") as file:
        (name,) = [name for name in ("X/indices", "matrix/indices") if name in file]
        file[name][0] = 400_000


def normalised(path: Path) -> None:
    with h5py.File(path, "a") as file:
        values = np.log1p(file["X/data"][...])
        del file["X/data"]
        file["X/data"] = values


def row_without_shape(path: Path) -> None:
    zarr.open_array(path / "tables/table/obs/spot", mode="r+")[2] = 99


@dataclass(frozen=True)
class Fault:
    """What is done to a file of the third section, and what the report then says beside the section and what to do.

    Attributes
    ----------
    file
        The file that is damaged, and named unless ``named`` is.
    field
        Part of the file; None where it is the whole file.
    """

    kind: str
    file: str
    damage: Callable[[Path], None]
    error: type[DataError]
    field: str | None = None
    named: str | None = None


FAULTS = {
    "a cut archive": Fault("her2st", "data/ST-cnts/{}.tsv.gz", cut_short, SchemaError),
    "a spot beside its image": Fault(
        "her2st", "data/ST-spotfiles/{}_*", replace_text("\t300\t300\t", "\t300\t9000\t"), ImageError,
        field="pixel_x, pixel_y", named="data/ST-imgs/*/{}/HE.jpg",
    ),
    "a negative count": Fault("cscc", "*{}_stdata.tsv.gz", negative_count, SchemaError, field="line 2"),
    "a spot twice": Fault("cscc", "*-{}.tsv", replace_text("\n2\t2\t", "\n1\t2\t"), SchemaError, field="spot id"),
    "an image bomb": Fault("he", "*/*/HE_{}.jpg", image_bomb, ImageError),
    "probes": Fault("spaceranger", "{}/outs/*.h5", probes, SchemaError),
    "an index of no gene": Fault("spaceranger", "{}/outs/*.h5", index_of_no_gene, SchemaError, field="indices"),
    "a scale of other bins": Fault(
        "visium-hd", "{}/outs/*/*/spatial/scalefactors_json.json",
        replace_text('"bin_size_um": 16', '"bin_size_um": 8'), SchemaError, field="microns_per_pixel",
    ),
    "labels of other spots": Fault(
        "wu2021", "metadata/{}_*", replace_text("-1", "-2"), AlignmentError, field="barcode"
    ),
    "normalised values": Fault("anndata", "{}.h5ad", normalised, SchemaError, field="X"),
    "an index of no gene in h5ad": Fault("anndata", "{}.h5ad", index_of_no_gene, SchemaError, field="indices"),
    "a pixel size that cannot be": Fault(
        "hest", "metadata/{}.json", replace_text("0.5}", "0.9}"), SchemaError, field="pixel_size_um_estimated"
    ),
    "a row without a shape": Fault("spatialdata", "{}.zarr", row_without_shape, AlignmentError, field="instance id"),
    "half an image": Fault("slides", "{}.png", cut_short, ImageError),
}  # fmt: skip


def write(kind: Kind, folder: Path, store: Path) -> dict[str, pd.DataFrame | None]:
    """Make a cohort, every section of a patient of its own; counts by section."""
    folder.mkdir()
    if kind.layout == "spatialdata":
        shutil.copytree(store, folder / f"{kind.sections[0]}.zarr")
    visium.write_patients(folder, **{section: f"patient-{section}" for section in kind.sections})
    return {section: kind.write(folder, section, number) for number, section in enumerate(kind.sections, start=1)}


def only(folder: Path, pattern: str, section: str) -> Path:
    (path,) = folder.glob(pattern.format(section))
    return path


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_section_is_refused_by_name_and_the_four_others_come_in_bit_exact(
    name, tmp_path, spatialdata_store, parser, monkeypatch
):
    fault, kind = FAULTS[name], KINDS[FAULTS[name].kind]
    folder, lake, faulty = tmp_path / "cohort", Lake(tmp_path / "lake"), kind.sections[2]
    written = write(kind, folder, spatialdata_store)
    fault.damage(only(folder, fault.file, faulty))

    monkeypatch.setattr(inspection, "SectionParser", lambda _: parser)
    found = inspection.inspect(lake, "toy", folder, Settings(), lambda *_: None, {})
    register.save(lake, found.cohort, found.faults)

    (said,) = found.faults
    assert type(said) is fault.error
    assert said.context["section"] == f"toy/{faulty}"
    assert Path(said.context["file"]) == only(folder, fault.named or fault.file, faulty)
    assert said.context.get("field") == fault.field
    assert said.context["hint"]
    (kept,) = register.faults(lake, "toy")
    assert (kept["section"], kept["file"]) == (f"toy/{faulty}", str(said.context["file"]))

    cohort = register.load(lake, "toy")
    assert cohort.layout == kind.layout
    assert {entry.key.section_id for entry in cohort.entries} == set(kind.sections) - {faulty}
    for entry in cohort.entries:
        raw = parser.read(cohort.layout, folder, entry)
        expected = written[entry.key.section_id]
        assert (raw.counts is None) == (expected is None)
        if expected is not None:
            table = pd.DataFrame(raw.counts.matrix.toarray(), raw.spot_ids, raw.counts.genes)
            pd.testing.assert_frame_equal(table, expected.astype(np.int32), check_like=True)


def test_there_is_a_cohort_with_a_fault_of_every_layout():
    assert {KINDS[fault.kind].layout for fault in FAULTS.values()} == {reader.layout for reader in READERS}
    assert {fault.kind for fault in FAULTS.values()} == set(KINDS)
