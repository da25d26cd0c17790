"""What is trained again, and when."""

import dagster as dg
import pytest

from gr2st_assets import register, retraining
from gr2st_assets.lake import Lake
from gr2st_assets.register import RegisteredCohort
from gr2st_assets.retraining import RetrainPlan, materialize_arguments, retrain_plan
from gr2st_core.errors import SettingsError
from gr2st_core.models.registry import METHODS


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("GR2ST_HOME", str(tmp_path))
    monkeypatch.delenv("GR2ST_LAKE", raising=False)
    (tmp_path / "settings").mkdir()
    return tmp_path


def test_without_a_plan_methods_that_are_served_are_trained_weekly(project):
    plan = retrain_plan()
    assert plan == RetrainPlan()
    assert plan.cron == "0 3 * * 0"
    assert set(plan.methods) <= set(METHODS)


def test_a_plan_is_read_and_becomes_arguments_of_the_command(project):
    (project / "settings" / "retrain.yml").write_text(
        "cron: '*/5 * * * *'\nmethods: [ridge_m224]\ntargets: [cp10k]\nseeds: [1, 2]\nsettings: quick.yml\n"
    )
    assert materialize_arguments(retrain_plan(), ["a", "b"]) == [
        "materialize", "--panel", "fold_safe", "--settings", "quick.yml", "--cohort", "a", "--cohort", "b",
        "--target", "cp10k", "--seed", "1", "--seed", "2", "--method", "ridge_m224",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["chron: now", "methods: []", "- a list"])
def test_a_plan_that_cannot_be_is_refused_with_its_file(project, text):
    (project / "settings" / "retrain.yml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        retrain_plan()
    assert caught.value.context["file"] == project / "settings" / "retrain.yml"


def test_the_schedule_skips_an_empty_lake_and_a_retraining_that_goes_on(project, tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        context = dg.build_schedule_context(instance)
        assert "no cohort" in retraining.retrain_schedule.evaluate_tick(context).skip_message
        lake = Lake(project / "lake")
        register.save(lake, RegisteredCohort("tiny", project, "her2st", True, ()))
        assert len(retraining.retrain_schedule.evaluate_tick(context).run_requests) == 1
        instance.create_run_for_job(retraining.retrain, status=dg.DagsterRunStatus.STARTED)
        assert "not ended" in retraining.retrain_schedule.evaluate_tick(context).skip_message


def test_a_failed_command_fails_the_run(project):
    (project / "settings" / "retrain.yml").write_text("methods: [no_such_method]\n")
    with dg.DagsterInstance.ephemeral() as instance:
        done = retraining.retrain.execute_in_process(instance=instance, raise_on_error=False)
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    assert "ended with" in failure.step_failure_data.user_failure_data.description
