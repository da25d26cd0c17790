"""A section, and then its cohort, taken out of the lake again with all that came of them."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def without_section(materialized, tmp_path_factory):
    """A copy of the project from which one section was removed, and what the command said before and while."""
    project = materialized.copy(tmp_path_factory.mktemp("removed") / "home")
    planned = project.gr2st("cohort", "remove", "tiny", "--section", "B2", "--dry-run").stderr
    before = project.digests()
    said = project.gr2st("cohort", "remove", "tiny", "--section", "B2").stderr
    return project, before, planned, said


def test_models_trained_on_the_section_are_listed_and_gone(without_section):
    project, before, planned, said = without_section
    listed = {line.partition(": ")[2] for line in said.splitlines() if line.startswith("trained on it: ")}
    folds = {"tiny/section-A1", "tiny/section-A2", "tiny/section-B1", "tiny/patient-A", "tiny/all"}
    assert listed == {f"{name} {fold}" for name in project.methods for fold in folds}
    assert listed == {line.partition(": ")[2] for line in planned.splitlines() if line.startswith("trained on it: ")}
    assert [slot for slot in before if slot.table.startswith("models/")]
    assert [slot for slot in project.digests() if slot.table.startswith("models/")] == []


def test_nothing_of_the_section_is_left_and_the_others_are_untouched(without_section):
    project, before, _, _ = without_section
    after = project.digests()
    assert [slot for slot in after if slot.value("section") == "B2"] == []
    others = {slot: digest for slot, digest in before.items() if slot.value("section") in ("A1", "A2", "B1")}
    assert {slot: after.get(slot) for slot in others} == others
    left = [path for path in (project.home / "lake").rglob("*") if "B2" in path.name]
    assert left == []
    assert project.sql("select distinct section_id from spots order by 1") == [
        {"section_id": name} for name in ("A1", "A2", "B1")
    ]
    assert project.sql("select count(*) as n from predictions") == [{"n": 0}]
    assert project.sql("select count(*) as n from fold_table where section_id = 'B2'") == [{"n": 0}]
    assert project.lake.verify(deep=True) == []


def test_a_cohort_goes_with_its_last_section(without_section):
    project, *_ = without_section
    project.gr2st("cohort", "remove", "tiny")
    assert [slot for slot in project.digests() if slot.value("cohort") is not None] == []
    assert not (project.home / "lake" / "_cohorts" / "tiny.json").exists()
    assert "nothing to remove" in project.gr2st("cohort", "remove", "tiny", code=1).stderr
