"""What must hold of everything that was made, whatever the methods: complete, agreeing, in the right order."""

import pytest

from gr2st_assets.records import Slot
from gr2st_core.cohorts.synthetic import make_synthetic_cohort
from gr2st_core.training.checkpoint import load_state

pytestmark = pytest.mark.slow


def test_every_test_spot_and_gene_of_every_method_unit_and_seed_has_exactly_one_prediction(materialized):
    rows = materialized.sql(
        "with expected as (select f.split_unit, sum(s.n * p.n) as n from fold_table f "
        "join (select section_id, count(*) as n from spots group by all) s using (section_id) "
        "join (select fold_id, count(*) as n from panel group by all) p using (fold_id) "
        "where f.role = 'test' group by all), "
        "found as (select f.split_unit, method, profile, seed, count(*) as n, "
        "count(distinct (cohort, section_id, spot_id, gene)) as n_distinct from predictions p "
        "join (select distinct fold_id, split_unit from fold_table) f using (fold_id) group by all) "
        "select found.*, expected.n as expected from found join expected using (split_unit)"
    )
    assert {row["split_unit"] for row in rows} == {"section", "patient"}
    assert len(rows) == 2 * len(materialized.methods)
    for row in rows:
        assert row["n"] == row["n_distinct"] == row["expected"] > 1000, row


def test_means_in_sql_are_the_reported_scores(materialized):
    (sections,) = materialized.sql(
        "select max(abs(g.r - s.pearson)) as d, count(*) as n from (select fold_id, section_id, method, profile, "
        "avg(pearson) as r from gene_scores group by all) g "
        "join section_scores s using (fold_id, section_id, method, profile)"
    )
    (board,) = materialized.sql(
        "select max(abs(s.r - b.pearson)) as d, count(*) as n from (select split_unit, method, profile, "
        "avg(pearson) as r from section_scores group by all) s join scoreboard b using (split_unit, method, profile) "
        "where b.training_patients = 'all'"
    )
    n_scored = len(materialized.methods) + 1  # the depth oracle
    assert (sections["n"], board["n"]) == (2 * 4 * n_scored, 2 * n_scored)
    assert sections["d"] < 1e-9
    assert board["d"] < 1e-9


def test_a_stored_prediction_is_the_mix_of_its_stored_parts(materialized):
    rows = materialized.sql(
        "select profile, max(abs(predicted - (weight::double * retrieval + (1 - weight::double) * regression))) as d, "
        "count(*) filter (weight is null) as n from predictions where method = 'gr2st' and profile in ('ours', 'r2') "
        "group by profile"
    )
    assert {row["profile"] for row in rows} == {"ours", "r2"}
    for row in rows:
        assert row["n"] == 0
        assert row["d"] < 1e-6


def test_the_share_of_retrieval_was_stored_with_the_model_before_any_test_score(materialized):
    lake = materialized.lake
    models = [slot for slot in lake.slots("models/model_gr2st_ours") if slot.value("fold") != "all"]
    assert len(models) == 6
    for slot in models:
        model, predicted, scored = (
            lake.require_head(Slot(table, slot.keys))
            for table in (slot.table, "predictions/predictions_gr2st_ours", "evaluation/gene_scores")
        )
        with lake.local_copy(slot) as folder:
            config = load_state(folder).config
        chosen, tried = config["choice"]["retrieval_weight"], config["inner"]
        assert chosen in tried["candidates"]["retrieval_weight"]
        assert chosen == tried["curve_mix"][tried["chosen_epoch"] - 1]["retrieval_weight"]
        assert len(tried["split_digest"]) == 64
        assert predicted.provenance.inputs["models/model_gr2st_ours"] == model.digest
        assert scored.provenance.inputs["predictions/predictions_gr2st_ours"] == predicted.digest
        assert model.provenance.started < predicted.provenance.started < scored.provenance.started
        held = slot.value("fold").partition("-")[2]
        test = [held] if slot.value("fold").startswith("section") else [f"{held}1", f"{held}2"]
        assert [name for name in model.provenance.inputs if name.endswith(tuple(f"/{s}" for s in test))] == []


def test_no_step_writes_into_the_cohort_folder(materialized, cohort, tmp_path):
    make_synthetic_cohort(tmp_path / "tiny", n_patients=2, sections_per_patient=2, seed=3)
    fresh, used = ({p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}
                   for root in (tmp_path / "tiny", cohort))  # fmt: skip
    assert len(fresh) > 10
    assert used == fresh
