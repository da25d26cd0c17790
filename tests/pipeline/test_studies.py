"""Ablation and sensitivity of GR2ST over all folds of one split unit, which only ``gr2st study`` runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gr2st_assets import runs, worker
from gr2st_assets.checks import domain
from gr2st_core.errors import NonFiniteError
from gr2st_core.models.gr2st.predictor import Gr2stPredictor

pytestmark = pytest.mark.slow

QUICK = Path(__file__).parents[2] / "settings" / "quick.yml"
FOLDS = ("tiny/patient-A", "tiny/patient-B")
ARGUMENTS = ("study", "tiny", "--settings", str(QUICK), *(word for fold in FOLDS for word in ("--fold", fold)))
N_ABLATION, N_SENSITIVITY = 8, 6
"""Trainings of a fold under the quick settings; the base's model is there already."""


@dataclass
class Studied:
    """A project in which both patients were studied.

    Attributes
    ----------
    stopped, done
        What came of the sensitivity study of one patient that failed at its very end, and of all that after it.
    n_trained
        Trainings after each.
    """

    project: Any
    stopped: runs.Outcome
    done: runs.Outcome
    n_trained: list[int]


@pytest.fixture(scope="module")
def studied(materialized, tmp_path_factory):
    """Run in this process, which spares the start of others."""
    project = materialized.copy(tmp_path_factory.mktemp("studied") / "home")
    trainings, n_trained = [], []

    def counted(self, request):
        trainings.append(request)
        return fit(self, request)

    def stop(*_):
        raise NonFiniteError("stopped here")

    fit = Gr2stPredictor.fit
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GR2ST_HOME", str(project.home))
        patch.setenv("DAGSTER_HOME", str(project.home / ".dagster_home"))
        patch.delenv("GR2ST_LAKE", raising=False)
        patch.setattr(Gr2stPredictor, "fit", counted)
        for module in (runs, worker):
            patch.setattr(module, "n_workers", lambda: 1)
        experiment = {"panel": "fold_safe", "target": "per_spot", "seed": 0, "settings_file": str(QUICK)}
        with patch.context() as broken:
            broken.setattr(domain, "study_complete", stop)
            stopped = runs.run_studies(project.lake, "tiny", experiment, FOLDS[:1], ["sensitivity"])
        n_trained.append(len(trainings))
        done = runs.run_studies(project.lake, "tiny", experiment, FOLDS)
        n_trained.append(len(trainings))
    return Studied(project, stopped, done, n_trained)


@pytest.fixture(scope="module")
def again(studied):
    """The same study by the command: artefacts before it, and what it said."""
    return studied.project.digests(), studied.project.gr2st(*ARGUMENTS)


def test_materialize_left_the_studies_alone(materialized):
    assert {"evaluation/ablation", "evaluation/sensitivity", "evaluation/studies"}.isdisjoint(
        materialized.lake.tables()
    )


def test_every_change_has_a_row_for_every_section_of_both_patients(studied):
    (ablation,) = studied.project.sql(
        "select count(*) as n, count(distinct parameter) as parameters, count(distinct section_id) as sections, "
        "max(abs(pearson - pearson_base)) filter (is_base) as strayed from ablation"
    )
    assert ablation == {"n": 9 * 4, "parameters": 9, "sections": 4, "strayed": 0.0}
    rows = studied.project.sql(
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
    rows = studied.project.sql(
        "with r as (select fold_id, section_id, gene, corr(predicted, observed) as r from predictions_with_observed "
        "where method = 'gr2st' and profile = 'ours' group by all) "
        "select max(abs(m.r - a.pearson)) as d, count(*) as n from "
        "(select fold_id, section_id, avg(r) as r from r where not isnan(r) group by all) m "
        "join ablation a using (fold_id, section_id) where a.is_base"
    )
    assert rows[0]["n"] == 4
    assert rows[0]["d"] < 1e-5


def test_mixing_weights_are_those_of_the_stored_predictions(studied):
    rows = studied.project.sql(
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
    rows = studied.project.sql(
        "select s.setting = b.top_k::varchar as own, max(abs(s.pearson_retrieval - b.pearson_retrieval)) as d, "
        "min(s.top_k = s.value::bigint) as as_said from sensitivity s join ablation b using (fold_id, section_id) "
        "where s.parameter = 'top_k' and b.is_base group by all"
    )
    found = {row["own"]: row for row in rows}
    assert found[True]["d"] == 0
    assert found[False]["d"] > 1e-4
    assert all(row["as_said"] for row in rows)


def test_a_study_that_was_stopped_trains_nothing_again(studied):
    assert set(studied.stopped.failed) == {FOLDS[0]}
    assert studied.done.failed == {}
    assert studied.n_trained == [N_SENSITIVITY, 2 * (N_ABLATION + N_SENSITIVITY)]
    left = [path for path in (studied.project.home / ".training").iterdir() if path.suffix != ".lock"]
    assert left == []


def test_the_average_over_folds_is_that_of_the_rows(studied):
    (row,) = studied.project.sql(
        "select s.n_sections, s.n_patients, s.difference - a.d as off, s.sections_below - a.below as miscounted "
        "from studies s, (select avg(pearson - pearson_base) as d, count(*) filter (pearson < pearson_base) as below "
        "from ablation where parameter = 'encoder') a where s.parameter = 'encoder'"
    )
    assert (row["n_sections"], row["n_patients"], row["miscounted"]) == (4, 2, 0)
    assert abs(row["off"]) < 1e-9
    pictures = [path.name for path in (studied.project.home / "lake" / "evaluation" / "studies").rglob("*.png")]
    assert sorted(pictures) == ["ablation.png", "sensitivity.png"]


def test_a_second_study_computes_nothing_and_prints_both_tables(studied, again):
    before, said = again
    assert ": published" not in said.stderr
    assert "8 partitions were current" in said.stderr  # four sections, two folds' models, two folds' studies
    assert studied.project.digests() == before
    words = said.stdout.split()
    assert {"color_texture", "retrieval_weight", "n_training_sections"} <= set(words)
