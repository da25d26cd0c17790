"""HEST-1k samples are read with the scale and the patient of their metadata, and neither is taken on trust."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gr2st_core.cohorts.hest import HestReader
from gr2st_core.cohorts.records import RawSection
from gr2st_core.cohorts.registry import find_reader
from gr2st_core.errors import CohortError, DataError


def read(folder: Path) -> RawSection:
    entries, faults = HestReader().entries("hest", folder)
    assert faults == []
    return HestReader().read(entries[0])


def fault_of(folder: Path) -> DataError:
    entries, faults = HestReader().entries("hest", folder)
    if not faults:
        with pytest.raises(DataError) as caught:
            HestReader().read(entries[0])
        faults = [caught.value]
    (fault,) = faults
    assert not isinstance(fault, CohortError), str(fault)
    assert fault.context["section"] == "hest/TENX1"
    return fault


def test_a_sample_is_read_in_pixels_of_its_slide(toy: Any) -> None:
    toy.write_hest()
    assert find_reader(toy.folder).layout == "hest"
    section = read(toy.folder)
    assert section.patient_id == "Patient_1"
    assert section.counts is not None
    assert np.array_equal(section.counts.matrix.toarray(), toy.counts)
    assert np.array_equal(section.pixel_xy, toy.positions)
    assert (section.um_per_px, section.pitch_um, section.pitch_px) == pytest.approx((0.5, 100.0, 200.0))
    assert section.image_path == toy.folder / "wsis/TENX1.tif"


def test_without_a_slide_the_counts_are_read(toy: Any) -> None:
    toy.write_hest(slide=False)
    assert read(toy.folder).image_path is None


def test_the_embedded_pixel_size_serves_where_none_was_estimated(toy: Any) -> None:
    toy.write_hest(pixel_size_um_estimated=float("nan"), pixel_size_um_embedded=0.51)
    assert read(toy.folder).um_per_px == 0.51


@pytest.mark.parametrize("value", [None, float("nan"), 0, -1, "0.5", 10**400])
def test_a_sample_without_a_pixel_size_is_a_fault(toy: Any, value: object) -> None:
    toy.write_hest(pixel_size_um_estimated=value, pixel_size_um_embedded=None)
    fault = fault_of(toy.folder)
    assert fault.context["field"] == "pixel_size_um_estimated, pixel_size_um_embedded"
    assert fault.context["file"] == toy.folder / "metadata/TENX1.json"


def test_a_pixel_size_that_contradicts_the_array_is_a_fault(toy: Any) -> None:
    toy.write_hest(pixel_size_um_estimated=None)
    fault = fault_of(toy.folder)
    assert fault.context["found"] == "spots 52.92 um apart"
    assert fault.context["expected"] == "inter_spot_dist 100 um"


def test_pooled_bins_need_not_lie_as_far_apart_as_those_of_the_machine(toy: Any) -> None:
    toy.write_hest(st_technology="Visium HD", inter_spot_dist=2.0)
    assert read(toy.folder).pitch_um == pytest.approx(100.0)


@pytest.mark.parametrize("patient", [None, float("nan"), " ", 7])
def test_an_unknown_patient_is_a_fault_and_the_table_supplies_it(toy: Any, patient: object) -> None:
    toy.write_hest(patient=patient)
    assert fault_of(toy.folder).context["hint"] == "add the row: TENX1<tab><patient>"
    (toy.folder / "patients.tsv").write_text("section_id\tpatient_id\nTENX1\tQ\n")
    assert read(toy.folder).patient_id == "Q"


def test_a_patient_name_of_two_studies_names_nobody(toy: Any) -> None:
    toy.write_hest()
    toy.write_hest("TENX2", dataset_title="another study")
    toy.write_hest("TENX3", patient="Patient 2")
    entries, faults = HestReader().entries("hest", toy.folder)
    assert [str(entry.key) for entry in entries] == ["hest/TENX3"]
    assert [fault.context["section"] for fault in faults] == ["hest/TENX1", "hest/TENX2"]


@pytest.mark.parametrize("text", ["{", "[]", "{}", "[" * 100_000, b"\xff\xfe"])
def test_metadata_that_are_no_object_are_a_fault(toy: Any, text: str | bytes) -> None:
    toy.write_hest()
    path = toy.folder / "metadata/TENX1.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert fault_of(toy.folder).context["file"] == path


def test_missing_metadata_and_links_are_faults(toy: Any, tmp_path: Path) -> None:
    toy.write_hest()
    outside = tmp_path / "slide.tif"
    (toy.folder / "wsis/TENX1.tif").rename(outside)
    (toy.folder / "wsis/TENX1.tif").symlink_to(outside)
    assert fault_of(toy.folder).context["found"] == outside
    (toy.folder / "wsis/TENX1.tif").unlink()
    (toy.folder / "metadata/TENX1.json").unlink()
    assert fault_of(toy.folder).context["file"] == toy.folder / "metadata/TENX1.json"


def test_normalised_values_are_refused_as_counts(toy: Any) -> None:
    toy.write_hest(data=toy.sample(np.log1p(toy.counts)))
    assert "normalised" in fault_of(toy.folder).message
