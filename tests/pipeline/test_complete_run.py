"""From a slide folder to a SQL answer."""

import json
from pathlib import Path

import pytest

from gr2st_assets.selection import DEFAULT_METHODS

pytestmark = pytest.mark.slow


def test_scoreboard_has_every_method_null_and_the_oracle_in_both_units(materialized):
    rows = materialized.sql(
        "select split_unit, method || '_' || profile as name, pearson, ceiling, pearson_shuffled, is_diagnostic "
        "from scoreboard where training_patients = 'all'"
    )
    for unit in ("section", "patient"):
        assert {row["name"] for row in rows if row["split_unit"] == unit} == {*DEFAULT_METHODS, "oracle_depth"}
    by_name = {(row["split_unit"], row["name"]): row for row in rows}
    assert by_name["section", "null_training_mean"]["pearson"] is None
    assert by_name["section", "oracle_depth"]["is_diagnostic"]
    assert by_name["section", "ridge_m224"]["pearson"] > 0.1
    assert abs(by_name["section", "ridge_m224"]["pearson_shuffled"]) < 0.05
    assert all(0 < row["ceiling"] < 1 for row in rows)


def test_every_held_out_spot_and_gene_has_one_prediction_per_unit(materialized):
    doubled = materialized.sql(
        "select count(*) as n from (select method, profile, fold_id, cohort, section_id, spot_id, gene "
        "from predictions group by all having count(*) > 1)"
    )
    assert doubled == [{"n": 0}]
    gaps = materialized.sql(
        "select count(*) as n from spots s cross join (select distinct split_unit from fold_table "
        "where split_unit <> 'all') u where not exists (select 1 from predictions p join fold_table f "
        "using (fold_id, cohort, section_id) where f.role = 'test' and f.split_unit = u.split_unit "
        "and p.section_id = s.section_id and p.spot_id = s.spot_id)"
    )
    assert gaps == [{"n": 0}]


def test_prediction_is_the_weighted_sum_of_its_components(materialized):
    worst = materialized.sql(
        "select max(abs(predicted - (weight * retrieval + (1 - weight) * regression))) as d, min(weight) as low, "
        "max(weight) as high from predictions_gr2st_ours"
    )
    assert worst[0]["d"] < 1e-5
    assert 0 <= worst[0]["low"] <= worst[0]["high"] <= 1


def test_gene_scores_agree_with_correlations_computed_in_sql(materialized):
    rows = materialized.sql(
        "with r as (select fold_id, section_id, gene, corr(predicted, observed) as r from predictions_with_observed "
        "where method = 'ridge' and profile = 'm224' group by all) "
        "select max(abs(r.r - g.pearson)) as d, count(*) as n "
        "from r join gene_scores g using (fold_id, section_id, gene) "
        "where g.method = 'ridge' and g.profile = 'm224' and g.pearson is not null"
    )
    assert rows[0]["n"] > 100
    assert rows[0]["d"] < 1e-5


def test_scores_against_the_training_mean_and_of_maps_stand_beside_the_correlations(materialized):
    rows = materialized.sql("select * from scoreboard where training_patients = 'all' and split_unit = 'patient'")
    by_name = {f"{row['method']}_{row['profile']}": row for row in rows}
    mean, ridge, oracle = (by_name[name] for name in ("null_training_mean", "ridge_m224", "oracle_depth"))
    assert (mean["r2_median"], mean["variance_ratio_median"]) == (0, 0)
    assert mean["pearson_spot"] > 0.5
    assert mean["top_gene_recall"] > 0.5
    undefined = ("pearson_spot_centred", "raised_gene_recall", "moran_error", "moran_correlation")
    assert [mean[name] for name in undefined] == [None] * 4
    assert all(ridge[name] is not None for name in (*undefined, "r2_median", "pearson_top"))
    assert 0 < ridge["variance_ratio_median"] < 1
    assert ridge["moran_predicted"] > ridge["moran_observed"] > 0
    assert [oracle[name] for name in ("r2_median", "variance_ratio_median", "pearson_spot", "top_gene_recall")] == [
        None
    ] * 4


def test_r2_agrees_with_the_one_computed_in_sql(materialized):
    rows = materialized.sql(
        "with p as (select fold_id, section_id, gene, 1 - sum((predicted - observed)**2) / "
        "sum((training_mean - observed)**2) as r2 from predictions_with_observed p join gene_scores g "
        "using (fold_id, section_id, gene, method, profile) where method = 'ridge' and profile = 'm224' group by all) "
        "select max(abs(p.r2 - g.r2)) as d, count(*) as n from p join gene_scores g using (fold_id, section_id, gene) "
        "where g.method = 'ridge' and g.profile = 'm224' and g.r2 is not null"
    )
    assert rows[0]["n"] > 100
    assert rows[0]["d"] < 1e-5


def test_every_method_is_compared_with_both_references_in_both_units(materialized):
    rows = materialized.sql("select * from comparisons where training_patients = 'all'")
    for unit in ("section", "patient"):
        for reference in ("gr2st_ours", "ridge_m224"):
            own = [r for r in rows if r["split_unit"] == unit and f"{r['method_b']}_{r['profile_b']}" == reference]
            assert {f"{row['method_a']}_{row['profile_a']}" for row in own} == set(DEFAULT_METHODS) - {reference}
    for row in rows:
        assert row["low"] <= row["high"]
        assert row["p_value"] <= row["p_holm"] <= 1
        assert (row["n_sections"], row["n_patients"], row["n_draws"]) == (4, 2, 40)
        assert not row["is_population"]
        assert row["scope"] == "describes these sections only"
    (found,) = materialized.sql("select passed, found from check_results where check_name = 'comparisons_agree'")
    assert found["passed"]
    assert json.loads(found["found"])["compared"] == len(materialized.sql("select difference from comparisons"))


def test_published_scores_can_be_asked_for(materialized):
    rows = materialized.sql(
        "select method, value from published_scores where dataset = 'her2st' and section is null "
        "and publication = 'gr2st_r1' order by value desc limit 1"
    )
    assert rows == [{"method": "gr2st", "value": 0.234}]


def test_a_second_run_computes_nothing_and_changes_no_byte(materialized, tmp_path):
    again = materialized.copy(tmp_path / "again")
    before = again.digests()
    log = again.materialize().stderr
    assert ": published" not in log
    assert "11 partitions were current" in log  # four sections, seven folds
    assert again.digests() == before


def test_every_blocking_check_passed_and_is_a_row(materialized):
    rows = materialized.sql("select asset, check_name, passed, is_blocking from check_results")
    assert {"contract", "no_leakage", "graph_degrees", "embeddings_vary"} <= {row["check_name"] for row in rows}
    assert [row for row in rows if row["is_blocking"] and not row["passed"]] == []


def test_models_are_safetensors_and_json_and_nothing_is_pickled(materialized):
    suffixes = {path.suffix for path in Path(materialized.home / "lake").rglob("*") if path.is_file()}
    assert suffixes <= {".parquet", ".safetensors", ".json", ".png", ".duckdb", ".html", ".md"}
    for path in Path(materialized.home / "lake").rglob("*"):
        assert not (path.is_file() and path.read_bytes()[:2] in (b"\x80\x04", b"\x80\x05", b"\x80\x03"))


def test_the_reference_bank_holds_every_training_spot_of_the_served_model(materialized):
    rows = materialized.sql(
        "select (select count(*) from reference_bank) as bank, (select count(*) from spots) as spots"
    )
    assert rows[0]["bank"] == rows[0]["spots"] > 0


def test_the_page_of_results_says_what_the_scoreboard_says(materialized):
    page = materialized.gr2st("results", "tiny", "fold_safe").stdout
    (row,) = materialized.sql(
        "select printf('%.3f', pearson) as r from scoreboard where method = 'gr2st' and profile = 'ours' "
        "and split_unit = 'section' and training_patients = 'all'"
    )
    assert f"GR2ST repaired (ours) reaches {row['r']} and " in page
    assert page.count("\n## ") == 9  # with every patient in training there are no mates and strangers apart
    assert "None" not in page
