"""Same inputs, same bytes, whatever the hash seed, the folder, and the folds that were asked for."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def elsewhere(materialized, cohort, tmp_path_factory):
    """One fold of the same cohort in another folder, under another hash seed; and what the command said."""
    other = type(materialized).create(tmp_path_factory.mktemp("elsewhere") / "home")
    other.gr2st("cohort", "add", "tiny", str(cohort), PYTHONHASHSEED="1")
    return other, other.materialize("--fold", "tiny/patient-A", PYTHONHASHSEED="1")


def test_another_hash_seed_and_folder_give_the_same_artefacts(materialized, elsewhere):
    expected, found = materialized.digests(), elsewhere[0].digests()
    compared = [slot for slot in found if slot.value("fold") is not None or slot.value("section") is not None]
    assert len(compared) > 60
    assert [str(slot) for slot in compared if found[slot] != expected[slot]] == []


def test_a_single_fold_is_kept_and_said_to_wait_for_the_others(elsewhere):
    project, done = elsewhere
    assert (
        "kept, not shown yet: tiny fold_safe per_spot 0, patient unit: 1 of 2 folds missing: patient-B" in done.stderr
    )
    assert project.sql("select count(*) as n from scoreboard") == [{"n": 0}]
    (found,) = project.sql("select found from check_results where check_name = 'scored_once' and not passed")
    assert "no set of folds is complete yet" in found["found"]
