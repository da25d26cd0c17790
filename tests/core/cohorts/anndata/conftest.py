"""Toy AnnData objects in a cohort folder."""

from pathlib import Path

import pytest

from samples.anndata_toy import Toy


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path / "cohort")
