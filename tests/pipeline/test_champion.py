"""A champion is decided at the end of a run, and everything served says which model made it."""

import pytest

from gr2st_core.settings import ServingSettings

pytestmark = pytest.mark.slow


def test_one_of_the_contenders_serves_and_what_is_served_says_so(materialized):
    rows = materialized.sql("select *, method || '_' || profile as name from champion order by event")
    assert {row["name"] for row in rows} == set(ServingSettings().methods)
    (serving,) = [row for row in rows if row["is_serving"]]
    assert serving["kind"] == "promoted"
    assert serving["has_few_patients"]
    assert rows[0]["is_first"]

    fit = f"models/model_{serving['name']}"
    (slot,) = [slot for slot in materialized.digests(fit) if slot.value("fold") == "all"]
    assert materialized.lake.require_head(slot).provenance.metadata["model_id"] == serving["model_id"]
    for row in materialized.sql("select distinct model_id, champion from reference_bank"):
        assert row["champion"] == (serving["event"] if row["model_id"] == serving["model_id"] else None)
    (check,) = materialized.sql("select passed, is_blocking from check_results where check_name = 'beats_champion'")
    assert check == {"passed": True, "is_blocking": True}
    shown = [line for line in materialized.gr2st("champion").stdout.splitlines() if line.startswith("*")]
    assert len(shown) == 1
    assert f"tiny {serving['name']} fold_safe per_spot" in shown[0]
