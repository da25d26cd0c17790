"""The loop, on a learner that fits one number."""

import math
import os
import resource
import signal

import pytest
import torch
from safetensors import SafetensorError

from gr2st_core.errors import CheckpointError, NonFiniteError
from gr2st_core.training import checkpoint
from gr2st_core.training.loop import SCORE, Run, seeded, train
from samples.crashes import is_killed


class Toy:
    """Walks one weight by a random amount per section; its score is a given list by epoch."""

    n_sections = 3

    def __init__(self, scores=None, fail_at=None):
        self.weight, self.scores, self.fail_at = torch.zeros(1), scores, fail_at
        self.visited: list[tuple[int, int]] = []

    def step(self, section, epoch):
        self.weight = self.weight + torch.rand(1) * (section + 1)
        self.visited.append((epoch, section))
        if (epoch, section) == self.fail_at:
            return {"mse": 1.0, "gate": math.nan}
        return {"mse": float(self.weight)} if section else {"mse": float(self.weight), "gate": 2.0}

    def score(self):
        return None if self.scores is None else {SCORE: self.scores[self.visited[-1][0]]}

    def tensors(self):
        return {"weight": self.weight}

    def restore(self, tensors):
        self.weight = tensors["weight"]


def test_every_epoch_visits_every_section_once_in_a_seeded_order():
    toys = [Toy(), Toy(), Toy()]
    for toy, seed in zip(toys, (0, 0, 1), strict=True):
        train(toy, stage="refit", epochs=6, seed=seed)
    epochs = [[section for e, section in toys[0].visited if e == epoch] for epoch in range(6)]
    assert all(sorted(order) == [0, 1, 2] for order in epochs)
    assert len({tuple(order) for order in epochs}) > 1
    assert toys[0].visited == toys[1].visited != toys[2].visited


def test_history_holds_means_over_the_steps_that_had_the_term():
    history = train(Toy(scores=[0.5, 0.4]), stage="inner", epochs=2, seed=0).history("inner")
    assert history.columns.tolist() == ["stage", "epoch", "term", "value"]
    assert history[history["term"] == "gate"]["value"].tolist() == [2.0, 2.0]
    assert history[history["term"] == SCORE]["value"].tolist() == [0.5, 0.4]


def test_training_stops_after_patience_epochs_without_a_better_score():
    scores = [0.1, 0.3, 0.3, 0.2, 0.9]
    run = train(Toy(scores), stage="inner", epochs=5, seed=0, patience=2)
    assert (run.epoch, run.best_epoch, run.best_score) == (4, 2, 0.3)


def test_without_any_defined_score_the_last_epoch_is_taken():
    run = train(Toy([math.nan] * 4), stage="inner", epochs=4, seed=0, patience=2)
    assert (run.epoch, run.best_epoch) == (4, 4)
    undefined_first = Run()
    for score in (math.nan, 0.2, 0.1):
        undefined_first.record([{"mse": 1.0}], {SCORE: score})
    assert undefined_first.best_epoch == 2


@pytest.mark.parametrize("stopped_at", [1, 2, 4])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, stopped_at):
    scores = [0.1, 0.4, 0.2, 0.3, 0.35]
    whole, first, second = Toy(scores), Toy(scores), Toy(scores)
    expected = train(whole, stage="inner", epochs=5, seed=7)
    file = tmp_path / "inner.safetensors"
    train(first, stage="inner", epochs=stopped_at, seed=7, snapshot=file, job="j")
    torch.rand(13)  # whatever else drew random numbers in between
    run = train(second, stage="inner", epochs=5, seed=7, snapshot=file, job="j")
    assert torch.equal(whole.weight, second.weight)
    assert len(second.visited) == 3 * (5 - stopped_at)
    assert (run.rows, run.best_epoch, run.best_score) == (expected.rows, expected.best_epoch, expected.best_score)


def half_a_file(write):
    """A writer that is killed in the middle of the file."""

    def torn(tensors, file, metadata):
        write(tensors, file, metadata)
        os.truncate(file, file.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    return torn


def a_whole_file(write):
    """A writer that is killed before the file gets its name."""

    def written(*arguments):
        write(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    return written


def after(n_epochs, writer):
    """Write the snapshots of so many epochs; the next one's writer is another."""
    real, left = checkpoint.save_tensors, iter(range(n_epochs))
    return lambda *arguments: (real if next(left, None) is not None else writer(real))(*arguments)


def trained(file, epochs=4, **options):
    """A run whose snapshot is ``file``; the learner."""
    toy = Toy([0.1, 0.4, 0.2, 0.3])
    train(toy, stage="inner", epochs=epochs, seed=7, snapshot=file, job="j", **options)
    return toy


@pytest.mark.parametrize("n_epochs", [0, 2])
@pytest.mark.parametrize("writer", [half_a_file, a_whole_file])
def test_a_run_killed_while_it_writes_keeps_the_epoch_before_and_ends_in_the_same_bytes(
    tmp_path, monkeypatch, n_epochs, writer
):
    file, undisturbed, before = (tmp_path / name / "inner.safetensors" for name in ("run", "undisturbed", "before"))
    trained(undisturbed)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_tensors", after(n_epochs, writer))
        assert is_killed("", lambda: trained(file))
    if n_epochs:
        trained(before, n_epochs)
        assert file.read_bytes() == before.read_bytes()
    assert file.exists() == bool(n_epochs)

    assert len(trained(file).visited) == 3 * (4 - n_epochs)
    assert file.read_bytes() == undisturbed.read_bytes()
    assert [path.name for path in file.parent.iterdir()] == ["inner.safetensors"]


def test_a_run_killed_after_its_snapshot_has_lost_no_epoch(tmp_path):
    file, undisturbed = (tmp_path / name / "inner.safetensors" for name in ("run", "undisturbed"))
    trained(undisturbed)

    def kill(stage, epoch, epochs):
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    assert is_killed("", lambda: trained(file, progress=kill))
    assert len(trained(file).visited) == 3 * 2
    assert file.read_bytes() == undisturbed.read_bytes()


def test_a_run_whose_disk_is_full_keeps_the_epoch_before_and_the_next_ends_in_the_same_bytes(tmp_path):
    file, undisturbed, before = (tmp_path / name / "inner.safetensors" for name in ("run", "undisturbed", "before"))
    trained(undisturbed)
    trained(before, 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (before.stat().st_size, hard))  # the third epoch's is larger
    try:
        with pytest.raises(SafetensorError, match="File too large"):
            trained(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_bytes() == before.read_bytes()
    assert len(trained(file).visited) == 3 * 2
    assert file.read_bytes() == undisturbed.read_bytes()


def test_a_snapshot_of_another_job_is_refused(tmp_path):
    file = tmp_path / "inner.safetensors"
    train(Toy(), stage="inner", epochs=1, seed=0, snapshot=file, job="one")
    with pytest.raises(CheckpointError) as caught:
        train(Toy(), stage="inner", epochs=1, seed=0, snapshot=file, job="two")
    assert (caught.value.context["expected"], caught.value.context["found"]) == ("two", "one")


def test_a_loss_that_is_not_finite_names_stage_epoch_and_term():
    with pytest.raises(NonFiniteError) as caught:
        train(Toy(fail_at=(1, 0)), stage="refit", epochs=3, seed=0)
    assert {k: caught.value.context[k] for k in ("stage", "epoch", "term")} == {
        "stage": "refit",
        "epoch": 2,
        "term": "gate",
    }


def test_the_global_random_state_is_untouched_and_does_not_matter():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = Toy()
    train(first, stage="refit", epochs=2, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    second = Toy()
    train(second, stage="refit", epochs=2, seed=0)
    assert torch.equal(first.weight, second.weight)


def test_random_states_differ_by_seed_stage_and_epoch():
    drawn = set()
    for arguments in ((0, "inner", 0), (1, "inner", 0), (0, "refit", 0), (0, "inner", 1)):
        with seeded(*arguments):
            drawn.add(float(torch.rand(1)))
    assert len(drawn) == 4


def test_progress_is_reported_every_epoch():
    seen = []
    train(Toy(), stage="refit", epochs=2, seed=0, progress=lambda *report: seen.append(report))
    assert seen == [("refit", 1, 2), ("refit", 2, 2)]
