"""The training loop: epochs over whole sections, on one screen.

Belongs here: the order of steps, the record of losses, stopping, resuming. Does not belong here: what a step does
(each method's ``Learner``), which sections train (``folds``).

The random state of an epoch is a function of seed, stage and epoch alone. A resumed run therefore needs no stored
generator to repeat an uninterrupted one bit for bit, and torch's global generators are left as they were.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch

from gr2st_core.errors import CheckpointError, NonFiniteError
from gr2st_core.training.checkpoint import load_snapshot, save_snapshot

SCORE = "inner_pcc"
"""Term under which ``Learner.score`` enters the history."""


class Learner(Protocol):
    """What the loop trains."""

    @property
    def n_sections(self) -> int:
        """Steps of an epoch."""
        ...

    def step(self, section: int, epoch: int) -> Mapping[str, float]:
        """Take one optimiser step on one section; return the loss terms before it."""
        ...

    def score(self) -> Mapping[str, float] | None:
        """Judge the current parameters on left-out data; None if nothing is left out.

        Returns
        -------
        ``SCORE``, higher is better, and whatever else is to be recorded beside it.
        """
        ...

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything that the next step depends on."""
        ...

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Continue from ``tensors``."""
        ...


@dataclass
class Run:
    """How far a run has come.

    Attributes
    ----------
    epoch
        Epochs done.
    best_epoch, best_score
        The first epoch with the highest score; the last one where no score was defined.
    rows
        ``(epoch, term, value)`` of every epoch; loss terms are means over its steps.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_score: float = -math.inf
    rows: list[tuple[int, str, float]] = field(default_factory=list)

    def record(self, steps: list[Mapping[str, float]], judged: Mapping[str, float] | None) -> None:
        """Close an epoch."""
        self.epoch += 1
        for term in sorted({term for step in steps for term in step}):
            values = [step[term] for step in steps if term in step]
            self.rows.append((self.epoch, term, sum(values) / len(values)))
        score = None if judged is None else judged[SCORE]
        self.rows.extend((self.epoch, term, value) for term, value in (judged or {}).items())
        if score is not None and score > self.best_score:
            self.best_epoch, self.best_score = self.epoch, score
        elif math.isinf(self.best_score):
            self.best_epoch = self.epoch

    def values(self, term: str) -> list[float]:
        """Values of a term, epoch by epoch."""
        return [value for _, name, value in self.rows if name == term]

    def history(self, stage: str) -> pd.DataFrame:
        """One row per epoch and term: stage, epoch, term, value."""
        epochs, terms, values = zip(*self.rows, strict=True)
        return pd.DataFrame({"stage": stage, "epoch": epochs, "term": terms, "value": values})


def train(
    learner: Learner,
    *,
    stage: str,
    epochs: int,
    seed: int,
    patience: int | None = None,
    snapshot: Path | None = None,
    job: str = "",
    progress: Callable[[str, int, int], None] | None = None,
) -> Run:
    """Train until ``epochs`` are done or ``patience`` epochs brought no better score.

    Parameters
    ----------
    stage
        Name of the run; part of its random state.
    snapshot
        File that holds the run after its last epoch; where it exists, the run continues from it.
    job
        Identity of the job; a snapshot of another job is refused.

    Raises
    ------
    NonFiniteError
        A loss term is NaN or infinite; names epoch and term.
    CheckpointError
        The snapshot is damaged or of another job.
    """
    run = _resume(learner, snapshot, job) if snapshot is not None and snapshot.exists() else Run()
    while run.epoch < epochs and (patience is None or run.epoch - run.best_epoch < patience):
        with seeded(seed, stage, run.epoch):
            order = torch.randperm(learner.n_sections).tolist()
            steps = [_finite(learner.step(section, run.epoch), stage, run.epoch) for section in order]
        run.record(steps, learner.score())
        if snapshot is not None:
            facts = {"job": job, "epoch": run.epoch, "best": [run.best_epoch, run.best_score], "rows": run.rows}
            save_snapshot(learner.tensors(), facts, snapshot)
        if progress is not None:
            progress(stage, run.epoch, epochs)
    return run


@contextmanager
def seeded(seed: int, stage: str, epoch: int = 0) -> Iterator[None]:
    """Torch's random state as a function of the arguments; the caller's state comes back afterwards."""
    state = np.random.SeedSequence([seed, zlib.crc32(stage.encode()), epoch]).generate_state(1, np.uint64)
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(state[0]))
        yield


def _finite(terms: Mapping[str, float], stage: str, epoch: int) -> Mapping[str, float]:
    for term, value in terms.items():
        if not math.isfinite(value):
            raise NonFiniteError("a loss term is not finite", stage=stage, epoch=epoch + 1, term=term, found=value)
    return terms


def _resume(learner: Learner, snapshot: Path, job: str) -> Run:
    tensors, facts = load_snapshot(snapshot)
    if facts["job"] != job:
        raise CheckpointError(
            "a snapshot of another training job",
            file=snapshot,
            expected=job,
            found=facts["job"],
            hint="use a new folder",
        )
    learner.restore(tensors)
    best_epoch, best_score = facts["best"]
    return Run(facts["epoch"], best_epoch, best_score, [(epoch, term, value) for epoch, term, value in facts["rows"]])
