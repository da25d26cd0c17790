"""What is trained again, and when."""

import dagster as dg
import pyarrow as pa
import pytest
from dagster._core.errors import ScheduleExecutionError

import gr2st_assets.definitions  # noqa: F401 - whose assets the plan chooses from
from gr2st_assets import register, retraining
from gr2st_assets.assets.folds import NAME, TABLES, section_inputs
from gr2st_assets.lake import Lake
from gr2st_assets.records import Provenance
from gr2st_assets.register import RegisteredCohort
from gr2st_assets.retraining import RetrainPlan, materialize_arguments, planned_features, retrain_plan
from gr2st_assets.slots import section_slot
from gr2st_core.cohorts.records import SectionEntry
from gr2st_core.errors import SettingsError
from gr2st_core.keys import SectionKey
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


def test_only_features_that_the_planned_methods_read_are_made_of_new_sections(project):
    assert "image/embeddings_efficientnet_lite0_rot" in planned_features()
    (project / "settings" / "retrain.yml").write_text("methods: [ridge_color]\n")
    assert [name for name in planned_features() if name.startswith("image/")] == ["image/embeddings_color_texture"]
    (project / "settings" / "retrain.yml").write_text("methods: [no_such_method]\n")
    assert "image/embeddings_efficientnet_lite0_rot" in planned_features()


@pytest.mark.parametrize("text", ["chron: now", "methods: []", "- a list"])
def test_a_plan_that_cannot_be_is_refused_with_its_file(project, text):
    (project / "settings" / "retrain.yml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        retrain_plan()
    assert caught.value.context["file"] == project / "settings" / "retrain.yml"


def test_the_schedule_skips_an_empty_lake_and_a_retraining_that_goes_on(project, tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance, dg.build_schedule_context(instance) as context:
        assert "no cohort" in retraining.retrain_schedule.evaluate_tick(context).skip_message
        lake = Lake(project / "lake")
        register.save(lake, RegisteredCohort("tiny", project, "her2st", True, ()))
        assert len(retraining.retrain_schedule.evaluate_tick(context).run_requests) == 1
        instance.create_run_for_job(retraining.retrain, status=dg.DagsterRunStatus.STARTED)
        assert "not ended" in retraining.retrain_schedule.evaluate_tick(context).skip_message


def test_a_plan_that_cannot_be_read_fails_the_tick_and_not_the_platform(project, tmp_path):
    (project / "settings" / "retrain.yml").write_text("cron: every sunday\n")
    assert retraining._cron() == RetrainPlan().cron
    with (
        dg.DagsterInstance.local_temp(str(tmp_path)) as instance,
        dg.build_schedule_context(instance) as context,
        pytest.raises(ScheduleExecutionError, match="retrain_schedule"),
    ):
        retraining.retrain_schedule.evaluate_tick(context)


def test_a_cohort_of_the_inbox_is_trained_once_for_every_state_of_its_folds(project, tmp_path, monkeypatch):
    lake = Lake(project / "lake")
    for name in ("first", "second", "by_hand"):
        register.save(lake, RegisteredCohort(name, project, "her2st", False, (), is_from_inbox=name != "by_hand"))
    states = {"first": "", "second": "s1", "by_hand": "s1"}
    monkeypatch.setattr(retraining, "_state", lambda _, name: states[name])
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance, dg.build_sensor_context(instance) as context:

        def tick():
            result = retraining.complete_cohorts.evaluate_tick(context)
            context.update_cursor(result.cursor)
            return [request.tags["cohort"] for request in result.run_requests]

        assert tick() == ["second"]
        assert tick() == []
        states["first"] = "s1"
        run = instance.create_run_for_job(retraining.retrain, status=dg.DagsterRunStatus.STARTED)
        assert tick() == []
        instance.report_run_canceled(run)
        assert tick() == ["first"]
        states["second"] = "s2"
        assert tick() == ["second"]


def test_slides_without_counts_have_no_folds_and_are_predicted_once_the_fold_table_knows_them(project, tmp_path):
    lake, key = Lake(project / "lake"), SectionKey("slides", "S1")
    entry = SectionEntry(key, "S1", {"image": project / "S1.png"})
    register.save(lake, RegisteredCohort("slides", project, "slides", False, (entry,), is_from_inbox=True))

    def publish(table, text="", **inputs):
        slot = section_slot(lake, table, key) if table in TABLES else lake.slot(table)
        rows = pa.table({"cohort": pa.array([text] if text else [], pa.string())})
        lake.write_table(slot, rows, Provenance("f", inputs, "", "", "", "run", 0.0, {}))

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance, dg.build_sensor_context(instance) as context:

        def tick():
            result = retraining.complete_cohorts.evaluate_tick(context)
            context.update_cursor(result.cursor)
            return [request.run_config["ops"]["train_again"]["config"] for request in result.run_requests]

        publish(NAME)
        publish(TABLES[0], "an image")
        assert tick() == []
        publish(TABLES[1], "spots")
        assert tick() == []
        publish(NAME, **section_inputs(lake, [key]))
        assert tick() == [{"cohorts": ["slides"]}]
        assert tick() == []
        publish(TABLES[0], "another image")
        assert tick() == []
        publish(NAME, **section_inputs(lake, [key]))
        assert tick() == [{"cohorts": ["slides"]}]


def test_a_failed_command_fails_the_run(project):
    (project / "settings" / "retrain.yml").write_text("methods: [no_such_method]\n")
    with dg.DagsterInstance.ephemeral() as instance:
        done = retraining.retrain.execute_in_process(instance=instance, raise_on_error=False)
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    assert "ended with" in failure.step_failure_data.user_failure_data.description
