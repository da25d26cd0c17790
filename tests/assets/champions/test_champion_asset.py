"""The log as a table, in the graph and on the command line."""

from dataclasses import replace

import dagster as dg
import pytest
from typer.testing import CliRunner

from gr2st_assets import champion_journeys
from gr2st_assets.assets.champion import CHAMPION, champion
from gr2st_assets.assets.serving import _models
from gr2st_assets.champions import UnjustifiedError, champions, history, serving_numbers
from gr2st_assets.cli import app
from gr2st_assets.doctor import _lake
from gr2st_assets.evidence import Evidence
from gr2st_assets.promotions import promote, settle
from gr2st_assets.resources import Experiment, LakeResource
from samples.crashes import is_killed

RIDGE, LOW_RANK, KNN, GR2ST = "ridge_m224", "low_rank_m224", "knn_m224", "gr2st_ours"


@pytest.fixture
def run(served, tmp_path):
    """Materialize the asset over the lake ``served``."""
    file = tmp_path / "settings.yml"
    file.write_text(f"serving:\n  methods: [{RIDGE}, {LOW_RANK}, {KNN}]\n")

    def materialize() -> dg.ExecuteInProcessResult:
        resources = {
            "lake": LakeResource(root=str(served.lake.root)),
            "experiment": Experiment(settings_file=str(file)),
        }
        return dg.materialize(
            [champion], instance=dg.DagsterInstance.ephemeral(), resources=resources, raise_on_error=False
        )

    return materialize


def rows(world):
    return world.lake.read_table(world.lake.slot(CHAMPION)).to_pylist()


def test_every_decision_is_a_row_and_the_champion_is_marked(served, run):
    served.put_method(KNN)
    served.put_scores(**{RIDGE: 0.0, LOW_RANK: 0.05, KNN: -0.05})
    result = run()
    assert result.success
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "beats_champion"]
    assert check.passed
    found = rows(served)
    assert [(r["event"], r["kind"], r["method"], r["is_serving"], r["against"]) for r in found] == [
        (1, "promoted", "ridge", False, None),
        (2, "promoted", "low_rank", True, 1),
        (3, "refused", "knn", False, 2),
    ]
    first, second, third = found
    assert (first["is_first"], first["gain"], first["has_few_patients"]) == (True, None, True)
    assert second["gain"] == second["gain_min"] == pytest.approx(0.05)
    assert second["gain_low"] is None
    assert "not enough" in third["reasons"]
    assert second["model_id"] == champions(history(served.lake))["c"].contender.model_id
    (materialization,) = result.asset_materializations_for_node("serving__champion")
    shown = materialization.metadata
    assert shown["gain"].value == pytest.approx(-0.1)
    assert "data:image/png;base64" in shown["picture"].value
    table = shown["knn_m224 (refused) against low_rank_m224"].value
    assert [record.data["patient"] for record in table.records] == ["c/A", "c/B", "c/C"]

    digest = served.lake.require_head(served.lake.slot(CHAMPION)).digest
    again = run()
    assert again.asset_materializations_for_node("serving__champion")[0].metadata["reused"].value
    assert served.lake.require_head(served.lake.slot(CHAMPION)).digest == digest


def test_a_champion_without_its_files_breaks_the_blocking_check(served, run):
    slot, digest = history(served.lake)[0].contender.model
    (served.lake.path(slot, digest) / "model.safetensors").unlink()
    served.put_scores(**{RIDGE: 0.0, LOW_RANK: 0.0})
    result = run()
    assert not result.success
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "beats_champion"]
    assert not check.passed
    assert served.lake.head(served.lake.slot(CHAMPION)) is None


def test_what_the_check_would_refuse_is_never_in_the_log(served, run, monkeypatch):
    served.put_scores(**{RIDGE: 0.0, LOW_RANK: -0.05})
    judge = Evidence.judge

    def careless(self, *arguments):
        return replace(judge(self, *arguments), verdict="promoted")

    with monkeypatch.context() as patch:
        patch.setattr(Evidence, "judge", careless)
        result = run()
        (contender,) = served.contenders(LOW_RANK)
        with pytest.raises(UnjustifiedError) as caught:
            promote(served.lake, contender, served.contenders(), served.serving, force_held=True)
    assert (caught.value.context["cohort"], caught.value.context["found"]) == ("c", LOW_RANK)
    assert not result.success
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "beats_champion"]
    assert (check.passed, check.blocking) == (False, True)
    assert LOW_RANK in check.metadata["failures"].value.records[0].data["found"]
    assert [event.number for event in history(served.lake)] == [1]
    assert run().success
    assert [row["kind"] for row in rows(served)] == ["promoted", "refused"]


def test_a_run_killed_after_it_told_readers_needs_nothing_more(served, run):
    assert is_killed("champion.shown", run)
    assert [r["kind"] for r in rows(served)] == ["promoted", "promoted"]
    assert settle(served.lake, served.contenders(), served.serving) == []


def test_the_bank_of_a_champion_stays_where_a_newer_model_did_not_take_over(empty_world):
    world = empty_world
    world.serving = world.serving.model_copy(update={"methods": (GR2ST,)})
    world.put_folds()
    world.put_method(GR2ST)
    world.put_scores(**{GR2ST: 0.1})
    settle(world.lake, world.contenders(), world.serving)
    (only,) = _models(world.lake)
    assert (only.model_id, only.champion) == ("gr2st_ours g", 1)
    world.put_method(GR2ST, "g2")
    assert {(model.model_id, model.champion) for model in _models(world.lake)} == {
        ("gr2st_ours g", 1),
        ("gr2st_ours g2", None),
    }
    assert serving_numbers(world.lake) == {"gr2st_ours g": 1}


@pytest.fixture
def command(served, tmp_path, monkeypatch):
    """Run ``gr2st`` in this process on the lake ``served``; running Dagster is another test's."""
    monkeypatch.setenv("GR2ST_LAKE", str(served.lake.root))
    monkeypatch.setattr(champion_journeys, "_tell_readers", lambda *_: 0)
    file = tmp_path / "settings.yml"
    file.write_text(f"serving:\n  methods: [{RIDGE}, {LOW_RANK}, {KNN}]\n")

    def gr2st(*arguments):
        options = ["--settings", str(file)] if len(arguments) > 1 else []
        return CliRunner().invoke(app, [*arguments, *options])

    return gr2st


def test_a_person_sees_promotes_and_goes_back(command):
    assert "* 1 promoted: c ridge_m224" in " ".join(command("champion").stdout.split())
    promoted = command("champion", "promote", LOW_RANK)
    assert promoted.exit_code == 0, promoted.output
    assert "against the champion: gain +0.0500" in promoted.stdout
    back = command("champion", "rollback", "1")
    assert (back.exit_code, back.stdout.split()[:5]) == (0, ["*", "3", "rolled_back", "to", "1"])
    lines = [line for line in command("champion").stdout.splitlines() if not line.startswith(" " * 6)]
    assert [line.split()[0] == "*" for line in lines] == [False, False, True]


def test_a_refused_model_is_not_served_whoever_asks(command, served):
    served.put_scores(**{RIDGE: 0.0, LOW_RANK: -0.05})
    refused = command("champion", "promote", LOW_RANK, "--force-held")
    assert refused.exit_code == 1
    assert "refused" in refused.stdout
    assert command("champion", "promote", KNN).exception.context["expected"] == "one knn_m224"
    assert list(serving_numbers(served.lake).values()) == [1]


def test_the_doctor_names_the_champion(served):
    assert "champion of c: ridge_m224, by promotion 1" in list(_lake(served.lake))
