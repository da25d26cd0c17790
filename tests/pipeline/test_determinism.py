"""Same inputs, same bytes, whatever the hash seed and the folder."""

import pytest

pytestmark = pytest.mark.slow


def test_another_hash_seed_and_folder_give_the_same_artefacts(materialized, cohort, tmp_path):
    other = type(materialized).create(tmp_path / "elsewhere" / "home")
    other.gr2st("cohort", "add", "tiny", str(cohort), PYTHONHASHSEED="1")
    other.materialize("--fold", "tiny/patient-A", PYTHONHASHSEED="1")
    expected, found = materialized.digests(), other.digests()
    compared = [slot for slot in found if slot.value("fold") is not None or slot.value("section") is not None]
    assert len(compared) > 60
    assert [str(slot) for slot in compared if found[slot] != expected[slot]] == []
