"""``cohort.yml`` states facts that files do not hold; whatever is wrong in it is named."""

from pathlib import Path

import pytest

from gr2st_core.cohorts.cohort_file import CohortFile, read_cohort_file
from gr2st_core.cohorts.faults import Faults

ALIASES = "a: &a [1, 1]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
"""Every line doubles what the one before stands for."""


def read(folder: Path, text: str | bytes) -> tuple[CohortFile, Faults]:
    (folder / "cohort.yml").write_bytes(text.encode() if isinstance(text, str) else text)
    faults = Faults(cohort="toy")
    return read_cohort_file(folder, faults), faults


def test_facts_are_read_and_the_others_stay_unknown(tmp_path: Path) -> None:
    facts, faults = read(tmp_path, "pitch_um: 110\nbin_um: 8\n")
    assert (facts.pitch_um, facts.um_per_px, facts.bin_um, faults.found) == (110.0, None, 8, [])


def test_no_file_and_an_empty_one_say_nothing(tmp_path: Path) -> None:
    faults = Faults()
    assert read_cohort_file(tmp_path, faults) == CohortFile()
    assert read(tmp_path, "# nothing\n")[0] == CohortFile()
    assert len(faults) == 0


@pytest.mark.parametrize(
    ("text", "field", "found"),
    [
        ("pitch: 110\n", "pitch", "110"),
        ("layout: her2st\n", "layout", "'her2st'"),
        ("pitch_um: -1\n", "pitch_um", "-1"),
        ("pitch_um: .nan\n", "pitch_um", "nan"),
        ("pitch_um: .inf\n", "pitch_um", "inf"),
        ("pitch_um: wide\n", "pitch_um", "'wide'"),
        ("um_per_px: true\n", "um_per_px", "True"),
        ("bin_um: 8.5\n", "bin_um", "8.5"),
        ("[1, 2]\n", None, "[1, 2]"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, text: str, field: str | None, found: str) -> None:
    facts, faults = read(tmp_path, text)
    assert facts == CohortFile()
    assert faults.found[0].message == "a cohort file has a wrong entry"
    assert faults.found[0].context.get("field") == field
    assert faults.found[0].context["found"] == found
    assert faults.found[0].context["file"] == tmp_path / "cohort.yml"
    assert faults.found[0].context["hint"] == "known keys: pitch_um, um_per_px, bin_um"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pitch_um: [110\n", "a cohort file is not YAML text"),
        (b"pitch_um: \xff\n", "a cohort file is not YAML text"),
        ("!!python/object/apply:os.getcwd []\n", "a cohort file is not YAML text"),
        ("[" * 1500, "a cohort file is not YAML text"),
        ("#" * 5_000, "a cohort file is too large"),
        (ALIASES, "a cohort file is not YAML text"),
        ("pitch_um: 2024-13-45\n", "a cohort file is not YAML text"),
        ("pitch_um: !!int ''\n", "a cohort file is not YAML text"),
        ("pitch_um: !!timestamp x\n", "a cohort file is not YAML text"),
        ("pitch_um: !!bool x\n", "a cohort file is not YAML text"),
        (f"pitch_um: {':'.join(['59'] * 600)}.5\n", "a cohort file is not YAML text"),
        (f"pitch_um: 0x{'f' * 4_000}\n", "a cohort file is not YAML text"),
    ],
)
def test_a_file_that_is_no_cohort_file_is_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    facts, faults = read(tmp_path, text)
    assert facts == CohortFile()
    assert [fault.message for fault in faults.found] == [message]


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "cohort"
    folder.mkdir()
    (tmp_path / "outside.yml").write_text("pitch_um: 110\n")
    (folder / "cohort.yml").symlink_to(tmp_path / "outside.yml")
    faults = Faults()
    assert read_cohort_file(folder, faults) == CohortFile()
    assert [fault.message for fault in faults.found] == ["a file lies outside its cohort folder"]
