"""A killed writer damages nothing, and the next run completes."""

import shutil

import pytest

pytestmark = pytest.mark.slow

ASKED = ("--fold", "tiny/section-A1", "--method", "ridge_m224")


@pytest.mark.parametrize(
    ("crash_at", "removed"),
    [
        ("artefact.written@models/", "models/model_ridge_m224/cohort=tiny/fold=section-A1"),
        ("artefact.renamed@predictions/", "predictions/predictions_ridge_m224/cohort=tiny/fold=section-A1"),
        ("pointer.staged@expression/hvg_table", "expression/hvg_table/cohort=tiny/section=B1"),
    ],
)
def test_kill_in_mid_write_leaves_only_whole_files_and_the_next_run_completes(
    materialized, tmp_path, crash_at, removed
):
    project = materialized.copy(tmp_path / "home")
    expected = project.digests()
    place = project.home / "lake" / removed
    shutil.rmtree(place)

    killed = project.materialize(*ASKED, code=None, workers=True, GR2ST_CRASH_AT=crash_at)
    # the process itself was killed, or the worker that it started
    assert killed.returncode == -9 or "ended with -9" in killed.stderr, killed.stderr
    assert place.is_dir()
    assert not list(place.rglob("_head.json"))  # killed while writing there, before anything was shown
    assert project.lake.verify(deep=True) == []

    project.materialize(*ASKED)
    assert project.lake.verify(deep=True) == []
    assert project.digests() == expected
