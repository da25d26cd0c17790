"""The report of a whole run: made with it, of the state that readers are shown, and copied out by the command."""

import hashlib

import pytest

pytestmark = pytest.mark.slow


def test_a_run_makes_the_report_of_what_readers_are_shown(materialized, tmp_path):
    (row,) = materialized.sql("select * from report")
    assert (row["cohort"], row["split_unit"], row["n_patients"]) == ("tiny", "patient", 2)
    copy = tmp_path / "tiny.html"
    done = materialized.gr2st("report", "tiny", "--out", str(copy))
    assert done.stdout.strip() == str(copy)
    page = copy.read_bytes()
    assert (len(page), hashlib.sha256(page).hexdigest()) == (row["n_bytes"], row["sha256"])
    assert row["state_digest"] in page.decode()
    method = f"{row['method']}_{row['profile']}"
    assert f'<tr class="own"><td class="text">{method}</td>' in page.decode()
    lake = materialized.lake
    slot = lake.slot("evaluation/report")
    assert set(lake.files(slot)) == {"data.parquet", "report_tiny.html", "verdict.md"}
