"""Of Visium HD the bins of one size are read: those asked for, else those of 16 um, else the coarsest below."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gr2st_core.cohorts.records import RawSection
from gr2st_core.cohorts.spaceranger import SpaceRangerReader
from gr2st_core.errors import DataError, MissingArtifactError

BINS = "S1/outs/binned_outputs"
UM_PER_PX = 0.25


@pytest.fixture
def cohort(tmp_path: Path, samples: ModuleType) -> Path:
    """One sample with bins of 2, 8 and 16 um; the counts of a bin are its size."""
    folder = tmp_path / "cohort"
    for size in (2, 8, 16):
        outs = folder / BINS / f"square_{size:03d}um"
        samples.write_bins(outs, size, np.full((4, 4), size), UM_PER_PX)
    samples.write_patients(folder, S1="P1")
    return folder


def read(folder: Path) -> RawSection:
    entries, faults = SpaceRangerReader().entries("toy", folder)
    assert faults == []
    return SpaceRangerReader().read(entries[0])


def require_bins(section: RawSection, size: int) -> None:
    assert section.counts is not None
    assert section.counts.genes == ("ERBB2", "ACTB", "TBCE")
    assert section.counts.matrix.toarray().tolist() == [[size, size, 2 * size]] * 4
    assert section.array_xy.tolist() == [[7, 3], [8, 3], [7, 4], [8, 4]]
    assert section.pixel_xy == pytest.approx(section.array_xy * size / UM_PER_PX * 0.1)
    assert (section.pitch_um, section.um_per_px) == pytest.approx((size, UM_PER_PX / 0.1))


def test_bins_of_16_um_are_read(cohort: Path) -> None:
    require_bins(read(cohort), 16)


def test_the_coarsest_below_is_read_where_there_are_none(cohort: Path) -> None:
    (cohort / BINS / "square_016um").rename(cohort / BINS / "square_100um")
    require_bins(read(cohort), 8)


def test_the_cohort_file_chooses_the_bins(cohort: Path) -> None:
    (cohort / "cohort.yml").write_text("bin_um: 2\n", encoding="utf-8")
    require_bins(read(cohort), 2)


def test_bins_that_are_not_there_are_a_fault(cohort: Path) -> None:
    (cohort / "cohort.yml").write_text("bin_um: 4\n", encoding="utf-8")
    entries, faults = SpaceRangerReader().entries("toy", cohort)
    assert entries == []
    assert isinstance(faults[0], MissingArtifactError)
    assert (faults[0].context["field"], faults[0].context["found"], faults[0].context["expected"]) == (
        "bin_um",
        [2, 8, 16],
        4,
    )


def test_a_folder_whose_factors_are_of_other_bins_is_a_fault(cohort: Path) -> None:
    paths = [cohort / BINS / name / "spatial/scalefactors_json.json" for name in ("square_008um", "square_016um")]
    paths[1].write_bytes(paths[0].read_bytes())
    with pytest.raises(DataError) as caught:
        read(cohort)
    assert "spot_diameter_fullres" in str(caught.value)
    assert str(paths[1]) in str(caught.value)


def test_the_whole_slide_is_not_kept_in_memory(cohort: Path, samples: ModuleType) -> None:
    path = cohort / BINS / "square_016um/spatial/tissue_positions.parquet"
    rows = [(f"s_016um_{row:05d}_{col:05d}-1", int(row in (3, 4) and col in (7, 8)), row, col, 64.0 * row, 64.0 * col)
            for row in range(50) for col in range(50)]  # fmt: skip
    samples.write_parquet(path, rows)
    require_bins(read(cohort), 16)
