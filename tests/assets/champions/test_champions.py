"""One valid champion at any time, whoever writes, whoever is killed; history only grows."""

import errno
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from gr2st_assets import champions as log
from gr2st_assets import promotions
from gr2st_assets.champion_records import Contender, Event
from gr2st_assets.champions import PromotionConflictError, PromotionError, append, champions, history, references
from gr2st_assets.contenders import find_contenders
from gr2st_assets.justified import unjustified
from gr2st_assets.lake import Lake
from gr2st_assets.models import load_champion
from gr2st_assets.promotions import promote, roll_back, settle
from gr2st_core.errors import DataError, LeakageError, MissingArtifactError, SchemaError
from samples.crashes import FORK, failing, is_killed

RIDGE, LOW_RANK, KNN = "ridge_m224", "low_rank_m224", "knn_m224"
POINTS = ("champion.decided", "exclusive.staged", "exclusive.linked", "exclusive.visible", "champion.created")


def kinds(world):
    return [(event.kind, event.contender.name) for event in history(world.lake)]


def champion_of(world):
    return champions(history(world.lake))["c"]


def pointer(world, number):
    return Path(world.lake.root.path) / log.FOLDER / f"{number:06d}.json"


def test_a_contender_is_recipe_fit_and_evidence(world):
    (found,) = world.contenders()
    assert (found.name, found.cohort, found.target, found.n_genes) == (RIDGE, "c", "per_spot", 3)
    assert found.trained_on == tuple(f"c/{p}" for p in world.patients)
    assert found.patients == dict.fromkeys(found.trained_on, pytest.approx(0.2))
    assert sorted(slot.split("/")[0] for slot in found.fit) == ["expression", "models"]
    assert len(found.scores) == len(found.controls) == 3
    assert found.settings["ridge"] == world.settings.ridge.model_dump(mode="json")
    assert Contender.from_document(json.loads(json.dumps(asdict(found)))) == found


def lacking(world, settings=None):
    found, words = find_contenders(world.lake, settings or world.settings, "auto")
    assert found == []
    return next(line for line in words if RIDGE in line)


def test_folds_of_another_generation_do_not_compete(world):
    fold = world.lake.slot(
        f"models/model_{RIDGE}", cohort="c", fold="all", panel="fold_safe", target="per_spot", seed=0
    )
    head = world.lake.require_head(fold)
    world.put_method(RIDGE, "g2")
    assert "scores are not of the newest model" in lacking(world)
    world.put_scores(**{RIDGE: 0.0})
    assert len(world.contenders()) == 1
    world.lake.write_table(fold, world.lake.read_table(fold), replace(head.provenance, generation="g1"))
    assert "two generations" in lacking(world)


def test_a_fold_without_scores_other_settings_and_missing_nulls_do_not_compete(world):
    other = world.settings.model_copy(update={"ridge": world.settings.ridge.model_copy(update={"max_pcs": 3})})
    assert "made under other settings" in lacking(world, other)
    world.put_scores(nulls=(), **{RIDGE: 0.0})
    assert "null_training_mean" in lacking(world)
    world.put_scores(**{RIDGE: 0.0})
    assert len(world.contenders()) == 1
    world.patients += "Z"
    world.put_folds()
    assert "no complete set" in lacking(world)


def test_the_first_champion_is_the_best_that_beats_the_controls(world):
    world.put_method(LOW_RANK)
    world.put_method(KNN)
    world.put_scores(**{RIDGE: 0.0, LOW_RANK: 0.004, KNN: -0.2})
    made = settle(world.lake, world.contenders(), world.serving)
    assert kinds(world) == [("promoted", LOW_RANK), ("refused", RIDGE), ("refused", KNN)]
    assert [event.against for event in made] == [0, 1, 1]
    assert champion_of(world).contender.name == LOW_RANK
    assert unjustified(world.lake) == []


def test_nothing_is_served_where_nothing_beats_the_controls(world):
    world.put_scores(**{RIDGE: -0.2})
    settle(world.lake, world.contenders(), world.serving)
    assert kinds(world) == [("refused", RIDGE)]
    assert champions(history(world.lake)) == {}
    assert settle(world.lake, world.contenders(), world.serving) == []


def test_a_better_one_takes_over_and_the_beaten_never_comes_back_by_itself(served):
    settle(served.lake, served.contenders(), served.serving)
    assert kinds(served) == [("promoted", RIDGE), ("promoted", LOW_RANK)]
    assert settle(served.lake, served.contenders(), served.serving) == []


def test_an_equal_one_is_refused_once_and_again_under_other_settings(served):
    served.put_scores(**{RIDGE: 0.0, LOW_RANK: 0.001})
    (refused,) = settle(served.lake, served.contenders(), served.serving)
    assert (refused.kind, refused.contender.name, refused.against) == ("refused", LOW_RANK, 1)
    assert settle(served.lake, served.contenders(), served.serving) == []
    # scores of a method that does not compete make new tables, and no new contender
    served.put_method(KNN)
    served.put_scores(**{RIDGE: 0.0, LOW_RANK: 0.001, KNN: 0.3})
    assert settle(served.lake, served.contenders(RIDGE, LOW_RANK), served.serving) == []
    lenient = served.serving.model_copy(update={"min_effect": 0.0})
    (promoted,) = settle(served.lake, served.contenders(RIDGE, LOW_RANK), lenient)
    assert (promoted.kind, promoted.contender.name) == ("promoted", LOW_RANK)


def test_a_champion_that_is_no_longer_made_is_judged_by_the_scores_it_was_chosen_on(served):
    served.patients = "AB"
    served.put_folds()
    served.put_method(LOW_RANK, "g2")
    served.put_scores(**{LOW_RANK: 0.05})
    (contender,) = served.contenders()
    (event,) = settle(served.lake, [contender], served.serving)
    assert event.kind == "promoted"
    assert event.decision["against"]["patients"] == [f"c/{p}" for p in "AB"]
    assert event.decision["against"]["patients_left_out"] == ["c/C"]
    assert "c/C" in event.decision["reasons"][-1]


def test_a_champion_that_is_still_made_is_judged_by_its_newest_scores(served):
    served.put_scores(**{RIDGE: 0.049, LOW_RANK: 0.05})
    assert [e.kind for e in settle(served.lake, served.contenders(), served.serving)] == ["refused"]


def test_scores_that_are_not_out_of_fold_stop_promotion(served):
    ridge, low_rank = served.contenders(RIDGE, LOW_RANK)
    seen = replace(low_rank, model_id=f"{LOW_RANK} patient-A")  # as if the fit on everybody had been scored on A
    before = kinds(served)
    with pytest.raises(LeakageError) as caught:
        settle(served.lake, [ridge, seen], served.serving)
    assert caught.value.context["found"] == ["c/A"]
    assert kinds(served) == before


def test_few_patients_are_held_for_a_person_who_may_let_them_pass(empty_world):
    world = empty_world
    world.patients = "AB"
    world.serving = world.serving.model_copy(update={"few_patients": "hold"})
    world.put_folds()
    world.put_method(RIDGE)
    world.put_scores(**{RIDGE: 0.0})
    settle(world.lake, world.contenders(), world.serving)
    world.put_method(LOW_RANK)
    world.put_method(KNN)
    world.put_scores(**{RIDGE: 0.0, LOW_RANK: 0.05, KNN: {"A": 0.4, "B": -0.05}})
    settle(world.lake, world.contenders(), world.serving)
    assert kinds(world) == [("promoted", RIDGE), ("held", LOW_RANK), ("refused", KNN)]
    everyone = world.contenders()
    low_rank, knn = world.contenders(LOW_RANK, KNN)
    assert promote(world.lake, low_rank, everyone, world.serving, force_held=False).kind == "held"
    assert promote(world.lake, knn, everyone, world.serving, force_held=True).kind == "refused"
    event = promote(world.lake, low_rank, everyone, world.serving, force_held=True)
    assert (event.kind, event.by_person) == ("promoted", True)
    assert champion_of(world) == event
    assert unjustified(world.lake) == []
    with pytest.raises(PromotionError, match="champion already"):
        promote(world.lake, low_rank, everyone, world.serving, force_held=True)


def test_going_back_restores_the_same_predictions_and_holds_until_there_is_something_new(served, query):
    before = load_champion(served.lake, champion_of(served).contender).predict(query).values
    served.put_method(RIDGE, "g2", seed=1)  # ridge is made anew since, so the newest one is another
    served.put_scores(**{RIDGE: 0.0, LOW_RANK: 0.05})
    settle(served.lake, served.contenders(), served.serving)
    assert champion_of(served).contender.name == LOW_RANK
    served.put_method(RIDGE, "g3", seed=2)
    served.put_scores(**{RIDGE: 0.1, LOW_RANK: 0.05})
    settle(served.lake, served.contenders(), served.serving)
    newest = load_champion(served.lake, champion_of(served).contender).predict(query).values
    assert not np.array_equal(newest, before)

    back = roll_back(served.lake, 1)
    assert (back.kind, back.restores, back.by_person) == ("rolled_back", 1, True)
    assert champion_of(served) == back
    after = load_champion(served.lake, champion_of(served).contender).predict(query).values
    assert after.tobytes() == before.tobytes()
    assert settle(served.lake, served.contenders(), served.serving) == []
    assert unjustified(served.lake) == []

    served.put_method(KNN)
    served.put_scores(**{RIDGE: 0.1, LOW_RANK: 0.05, KNN: 0.2})
    (event,) = settle(served.lake, served.contenders(), served.serving)
    assert (event.kind, event.contender.name, event.against) == ("promoted", KNN, back.number)


def test_one_goes_back_only_to_what_served_and_is_whole(served):
    served.put_scores(**{RIDGE: 0.0, LOW_RANK: -0.05})
    settle(served.lake, served.contenders(), served.serving)
    assert kinds(served) == [("promoted", RIDGE), ("refused", LOW_RANK)]
    for number, error in (
        (0, MissingArtifactError),
        (3, MissingArtifactError),
        (2, PromotionError),
        (1, PromotionError),
    ):
        with pytest.raises(error):
            roll_back(served.lake, number)
    served.put_scores(**{RIDGE: 0.0, LOW_RANK: 0.05})
    settle(served.lake, served.contenders(), served.serving)
    slot, digest = history(served.lake)[0].contender.model
    (Path(served.lake.path(slot, digest).path) / "model.safetensors").write_bytes(b"other")
    with pytest.raises(MissingArtifactError) as caught:
        roll_back(served.lake, 1)
    assert caught.value.context["file"].endswith("model.safetensors")
    assert champion_of(served).contender.name == LOW_RANK


def test_a_damaged_fit_is_not_promoted(world):
    (contender,) = world.contenders()
    slot, digest = contender.model
    (Path(world.lake.path(slot, digest).path) / "model.json").unlink()
    with pytest.raises(MissingArtifactError) as caught:
        settle(world.lake, [contender], world.serving)
    assert caught.value.context["field"] == "the file is missing"
    assert history(world.lake) == []


def test_artefacts_of_champions_past_and_present_are_references(served):
    settle(served.lake, served.contenders(), served.serving)
    first, second = history(served.lake)
    named = references(served.lake)
    assert {first.contender.model, second.contender.model} <= named
    assert len(named) == 2 * 3 * 2 + 3  # scores and controls of both rounds, two models, one panel
    assert all(served.lake.path(slot, digest).exists() for slot, digest in named)


def test_a_champion_whose_artefacts_vanish_is_not_justified(world):
    settle(world.lake, world.contenders(), world.serving)
    slot, digest = champion_of(world).contender.model
    (Path(world.lake.path(slot, digest).path) / "model.safetensors").unlink()
    (problem,) = unjustified(world.lake)
    assert "model.safetensors" in problem


def test_a_champion_that_the_rule_would_not_have_made_is_not_justified(served):
    champion = champion_of(served)
    lower = {**champion.decision["controls"], "null_same_place": champion.decision["controls"]["its shuffled control"]}
    worse = json.loads(json.dumps({**champion.decision, "controls": lower}))
    worse["controls"]["null_same_place"]["opponent"] = [0.9] * 3
    append(served.lake, replace(champion, decision=worse, against=champion.number), history(served.lake))
    assert unjustified(served.lake) == ["c: promotion 2 does not follow from its evidence"]


@pytest.mark.parametrize("number", [1, 2])
def test_a_pointer_that_was_changed_is_refused(served, number):
    settle(served.lake, served.contenders(), served.serving)
    path = pointer(served, number)
    document = json.loads(path.read_bytes())
    document["contender"]["patients"]["c/A"] = 0.9
    path.write_text(json.dumps(document))
    with pytest.raises(DataError) as caught:
        history(served.lake)
    assert str(caught.value.context["file"]).endswith(f"{number:06d}.json")
    assert "changed" in caught.value.message


def test_history_that_was_rewritten_whole_or_cut_is_refused(served):
    settle(served.lake, served.contenders(), served.serving)
    first, _ = history(served.lake)
    pointer(served, 1).write_bytes(replace(first, by_person=True).encode())
    with pytest.raises(DataError, match="does not follow"):
        history(served.lake)
    pointer(served, 1).unlink()
    with pytest.raises(DataError, match="gap"):
        history(served.lake)
    pointer(served, 1).write_bytes(first.encode().replace(b'"format_version": 1', b'"format_version": 99'))
    with pytest.raises(SchemaError):
        history(served.lake)


def test_equal_events_are_equal_bytes(served):
    settle(served.lake, served.contenders(), served.serving)
    for number, event in enumerate(history(served.lake), start=1):
        assert event.encode() == pointer(served, number).read_bytes()
        assert Event.decode(event.encode(), served.lake.root) == event


@pytest.mark.parametrize("point", POINTS)
def test_a_promotion_killed_anywhere_leaves_one_champion_and_the_next_completes(served, tmp_path, point):
    found = served.contenders()
    undisturbed = Lake(shutil.copytree(served.lake.root.path, tmp_path / "undisturbed"))
    settle(undisturbed, found, served.serving)

    assert is_killed(point, lambda: settle(served.lake, found, served.serving))
    is_new = point not in ("champion.decided", "exclusive.staged")
    assert champion_of(served).contender.name == (LOW_RANK if is_new else RIDGE)
    assert unjustified(served.lake) == []
    assert served.lake.verify(deep=True) == []

    settle(served.lake, found, served.serving)
    served.lake.sweep(older_than_s=0)
    assert _files(served.lake) == _files(undisturbed)


def _files(lake):
    return {path.name: path.read_bytes() for path in (Path(lake.root.path) / log.FOLDER).iterdir()}


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_failing_disk_leaves_the_champion_as_it_was(served, call):
    found = served.contenders()
    with failing(call, 0, errno.ENOSPC), pytest.raises(OSError, match="No space left") as caught:
        settle(served.lake, found, served.serving)
    assert "000002.json" in str(caught.value.filename)
    assert kinds(served) == [("promoted", RIDGE)]
    assert [path.name for path in pointer(served, 1).parent.iterdir()] == ["000001.json"]
    settle(served.lake, found, served.serving)
    assert champion_of(served).contender.name == LOW_RANK


@pytest.mark.parametrize("point", POINTS)
def test_going_back_killed_anywhere_leaves_one_champion_and_can_be_asked_for_again(served, point):
    settle(served.lake, served.contenders(), served.serving)
    assert is_killed(point, lambda: roll_back(served.lake, 1))
    assert unjustified(served.lake) == []
    if champion_of(served).contender.name == LOW_RANK:
        roll_back(served.lake, 1)
    assert champion_of(served).contender.name == RIDGE
    assert [kind for kind, _ in kinds(served)] == ["promoted", "promoted", "rolled_back"]


def test_of_two_promotions_at_once_one_wins_and_the_other_names_it(served, monkeypatch):
    served.put_method(KNN)
    served.put_scores(**{RIDGE: 0.0, LOW_RANK: 0.05, KNN: 0.06})
    everyone = served.contenders()
    barrier, told = FORK.Barrier(2), FORK.SimpleQueue()
    monkeypatch.setattr(promotions, "crash_point", lambda _: barrier.wait())  # both have decided, neither has written

    def child(contender):
        try:
            event = promote(served.lake, contender, everyone, served.serving, force_held=False)
            told.put((contender.name, "won", event.number))
        except PromotionConflictError as error:
            told.put((contender.name, "lost", error.context["found"]))

    processes = [FORK.Process(target=child, args=(each,)) for each in served.contenders(LOW_RANK, KNN)]
    for process in processes:
        process.start()
    outcomes = {outcome: (name, what) for name, outcome, what in (told.get(), told.get())}
    for process in processes:
        process.join()
    winner, number = outcomes["won"]
    loser, said = outcomes["lost"]
    assert {winner, loser} == {LOW_RANK, KNN}
    assert number == 2
    assert said == f"{winner} promoted by event 2"
    assert kinds(served) == [("promoted", RIDGE), ("promoted", winner)]


def test_promotions_of_other_cohorts_do_not_get_in_the_way(world):
    seen = history(world.lake)
    (event,) = settle(world.lake, world.contenders(), world.serving)
    elsewhere = replace(event, contender=replace(event.contender, cohort="d"))
    second = append(world.lake, elsewhere, seen)
    assert (second.number, second.previous) == (2, event.digest)
    assert set(champions(history(world.lake))) == {"c", "d"}
    with pytest.raises(PromotionConflictError) as caught:
        append(world.lake, event, seen)
    assert caught.value.context["cohort"] == "c"


def test_every_crash_point_is_named_and_used_where_champions_are_made():
    folder = Path(log.__file__).parent
    text = "".join((folder / name).read_text() for name in ("champions.py", "promotions.py", "assets/champion.py"))
    assert {name for name in log.CRASH_POINTS if f'crash_point("{name}")' in text} == set(log.CRASH_POINTS)
