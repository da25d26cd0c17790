"""All layouts list their sections in the same way."""

from pathlib import Path
from typing import Any

import pytest

from gr2st_core.cohorts.her2st_listing import Her2stListing
from gr2st_core.cohorts.records import CohortReader, SectionEntry
from gr2st_core.cohorts.registry import READERS
from gr2st_core.keys import SectionKey

READ = {
    **{layout: ["pitch_um", "um_per_px"] for layout in ("her2st", "legacy-st", "anndata", "spatialdata", "slides")},
    "spaceranger": ["bin_um"],
    "hest": [],
    "wu2021": [],
}
"""What each layout goes by of a cohort file."""


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.layout)
def test_a_cohort_file_is_gone_by_or_a_fault(tmp_path: Path, reader: CohortReader) -> None:
    stated = {"pitch_um": 100.0, "um_per_px": 0.5, "bin_um": 8}
    (tmp_path / "cohort.yml").write_text("".join(f"{name}: {value}\n" for name, value in stated.items()))
    entries, (fault,) = reader.entries("toy", tmp_path)
    assert entries == []
    assert fault.message == "a cohort file states what this layout takes from elsewhere"
    assert fault.context["file"] == tmp_path / "cohort.yml"
    assert fault.context["expected"] == READ[reader.layout]
    assert fault.context["found"] == {name: value for name, value in stated.items() if name not in READ[reader.layout]}


def test_whatever_a_section_raises_is_its_own_fault(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Her2stListing.entry

    def entry(self: Her2stListing, key: SectionKey, *rest: Any) -> SectionEntry | None:
        if key.section_id == "A1":
            raise AttributeError("inside a library")
        return made(self, key, *rest)

    monkeypatch.setattr(Her2stListing, "entry", entry)
    entries, (fault,) = Her2stListing("toy", cohort).listed()
    assert [str(entry.key) for entry in entries] == ["toy/B1"]
    assert (fault.context["section"], fault.context["file"]) == ("toy/A1", cohort)
    assert fault.context["found"] == "AttributeError: inside a library"
