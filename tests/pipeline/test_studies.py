"""Ablation and sensitivity of GR2ST over all folds of one split unit, which only ``gr2st study`` runs."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

QUICK = Path(__file__).parents[2] / "settings" / "quick.yml"
FOLDS = ("tiny/patient-A", "tiny/patient-B")
ARGUMENTS = ("study", "tiny", "--settings", str(QUICK), *(word for fold in FOLDS for word in ("--fold", fold)))


@pytest.fixture(scope="module")
def studied(materialized, tmp_path_factory):
    """Both studies of both patients; and what the command said."""
    project = materialized.copy(tmp_path_factory.mktemp("studied") / "home")
    return project, project.gr2st(*ARGUMENTS)


def test_materialize_left_the_studies_alone(materialized):
    assert {"evaluation/ablation", "evaluation/sensitivity", "evaluation/studies"}.isdisjoint(materialized.lake.tables())


def test_every_change_has_a_row_for_every_section_of_both_patients(studied):
    project, _ = studied
    (ablation,) = project.sql(
        "select count(*) as n, count(distinct parameter) as parameters, count(distinct section_id) as sections, "
        "max(abs(pearson - pearson_base)) filter (is_base) as strayed from ablation"
    )
    assert ablation == {"n": 9 * 4, "parameters": 9, "sections": 4, "strayed": 0.0}
    rows = project.sql(
        "select parameter, count(distinct setting) as settings, count(*) as n, min(n_genes) as genes, "
        "min(n_training_sections) as sections, min(n_training_patients) as patients from sensitivity group by all"
    )
    found = {row["parameter"]: row for row in rows}
    settings = {name: row["settings"] for name, row in found.items()}
    assert settings == {
        "max_degree": 2,
        "radius_pitches": 2,
        "min_threshold": 2,
        "similarity_temperature": 2,
        "retrieval_temperature": 5,
        "top_k": 8,
        "retrieval_weight": 11,
        "n_genes": 2,
        "n_training_sections": 2,
    }
    assert all(row["n"] == 4 * row["settings"] for row in rows)
    assert {name for name, row in found.items() if row["genes"] < 60} == {"n_genes"}
    assert {name for name, row in found.items() if row["sections"] < 2} == {"n_training_sections"}
    assert all(row["patients"] == 1 for row in rows)


def test_the_bases_rows_are_the_scores_of_the_method(studied):
    project, _ = studied
    rows = project.sql(
        "select max(abs(a.pearson - s.pearson)) as d, count(*) as n from ablation a join section_scores s "
        "using (fold_id, panel, target, seed, section_id) where a.is_base and s.method = 'gr2st' and s.profile = 'ours'"
    )
    assert rows[0]["n"] == 4
    assert rows[0]["d"] < 1e-5


def test_mixing_weights_are_those_of_the_stored_predictions(studied):
    project, _ = studied
    rows = project.sql(
        "with r as (select s.fold_id, s.section_id, s.setting, gene, "
        "corr(s.value * p.retrieval + (1 - s.value) * p.regression, p.observed) as r "
        "from sensitivity s join predictions_with_observed p using (fold_id, panel, target, seed, section_id) "
        "where s.parameter = 'retrieval_weight' and p.method = 'gr2st' and p.profile = 'ours' group by all) "
        "select max(abs(m.r - s.pearson)) as d, count(*) as n from "
        "(select fold_id, section_id, setting, avg(r) as r from r where not isnan(r) group by all) m "
        "join sensitivity s using (fold_id, section_id, setting) where s.parameter = 'retrieval_weight'"
    )
    assert rows[0]["n"] == 11 * 4
    assert rows[0]["d"] < 1e-5


def test_neighbours_that_training_chose_score_as_the_base_and_others_do_not(studied):
    project, _ = studied
    rows = project.sql(
        "select s.setting = b.top_k::varchar as own, max(abs(s.pearson_retrieval - b.pearson_retrieval)) as d, "
        "min(s.top_k = s.value::bigint) as as_said from sensitivity s join ablation b using (fold_id, section_id) "
        "where s.parameter = 'top_k' and b.is_base group by all"
    )
    found = {row["own"]: row for row in rows}
    assert found[True]["d"] == 0
    assert found[False]["d"] > 1e-4
    assert all(row["as_said"] for row in rows)


def test_the_average_over_folds_is_printed_and_drawn(studied):
    project, done = studied
    (row,) = project.sql(
        "select s.n_sections, s.n_patients, s.difference - a.d as off, s.sections_below - a.below as miscounted "
        "from studies s, (select avg(pearson - pearson_base) as d, count(*) filter (pearson < pearson_base) as below "
        "from ablation where parameter = 'encoder') a where s.parameter = 'encoder'"
    )
    assert (row["n_sections"], row["n_patients"], row["miscounted"]) == (4, 2, 0)
    assert abs(row["off"]) < 1e-9
    assert {"color_texture", "retrieval_weight"} <= set(done.stdout.replace("|", " ").replace("│", " ").split())
    pictures = [path.name for path in (project.home / "lake" / "evaluation" / "studies").rglob("*.png")]
    assert sorted(pictures) == ["ablation.png", "sensitivity.png"]


def test_a_second_study_computes_nothing_and_checkpoints_are_gone(studied):
    project, _ = studied
    before = project.digests()
    log = project.gr2st(*ARGUMENTS).stderr
    assert ": published" not in log
    assert "8 partitions were current" in log  # four sections, two folds' models, two folds' studies
    assert project.digests() == before
    assert [path for path in (project.home / ".training").iterdir() if path.suffix != ".lock"] == []


def test_a_study_that_was_stopped_keeps_the_models_it_had_trained(studied, tmp_path):
    project = studied[0].copy(tmp_path / "home")
    shutil.rmtree(project.home / "lake" / "evaluation" / "ablation")
