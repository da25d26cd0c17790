"""Cohorts of samples as Space Ranger writes them."""

from pathlib import Path
from types import ModuleType

import pytest

from samples import visium


@pytest.fixture
def samples() -> ModuleType:
    """What writes samples, and what they hold."""
    return visium


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Samples S1 and S2 of patients P1 and P2, both sound, with the matrix as HDF5 and the files in ``outs``."""
    folder = tmp_path / "cohort"
    for section in ("S1", "S2"):
        visium.write_h5(folder / section / "outs/filtered_feature_bc_matrix.h5")
        visium.write_spatial(folder / section / "outs/spatial")
    visium.write_patients(folder, S1="P1", S2="P2")
    return folder
