"""The register of cohorts."""

import shutil

import pytest

from gr2st_assets import register
from gr2st_assets.inspection import inspect
from gr2st_assets.lake import Lake
from gr2st_core.cohorts.synthetic import make_synthetic_cohort
from gr2st_core.errors import DataError, MissingArtifactError, SchemaError
from gr2st_core.settings import Settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort") / "tiny"
    make_synthetic_cohort(folder, n_patients=2, sections_per_patient=1)
    return folder


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


def quiet(*_):
    pass


def test_a_saved_cohort_is_loaded_alike(folder, lake):
    found = inspect(lake, "tiny", folder, Settings(), quiet, {})
    cohort = found.cohort
    assert found.faults == []
    register.save(lake, cohort)
    assert register.names(lake) == ["tiny"]
    assert register.load(lake, "tiny") == cohort
    assert [str(key) for key in register.section_keys(lake, "tiny")] == ["tiny/A1", "tiny/B1"]
    assert not register.is_synthetic(lake, "tiny")


def test_a_gone_folder_is_said_and_its_sections_stay_known(folder, lake, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    register.save(lake, inspect(lake, "tiny", moved, Settings(), quiet, {}).cohort)
    shutil.rmtree(moved)
    with pytest.raises(MissingArtifactError, match="folder is gone"):
        register.load(lake, "tiny")
    assert len(register.section_keys(lake, "tiny")) == 2


def test_the_name_of_external_folds_is_refused(folder, lake):
    with pytest.raises(SchemaError, match="kept for folds"):
        inspect(lake, "external", folder, Settings(), quiet, {})


def test_a_damaged_register_names_its_file(lake):
    (lake.root / "_cohorts").mkdir(parents=True)
    (lake.root / "_cohorts" / "tiny.json").write_text("{")
    with pytest.raises(DataError) as error:
        register.section_keys(lake, "tiny")
    assert "tiny.json" in str(error.value.context["file"])


def test_an_unknown_cohort_is_refused_with_the_known_ones(lake):
    with pytest.raises(MissingArtifactError, match="no such cohort"):
        register.load(lake, "nobody")
