"""Time of GR2ST's published leave-one-section-out run on her2st: 32 folds of 100 epochs over 31 sections.

Sections have the cohort's numbers of spots and 785 genes; counts, cell types and 1,024 features are drawn at random,
no cohort is needed. A few epochs of a few folds are trained by the method itself and extrapolated; what a fold costs
besides (scaling, the first two epochs, in which a GPU's steps are captured, and the reference bank) is counted once a
fold. Every process has one thread. Hours by CPU-seconds are those of a machine that does nothing else.

    python benchmarks/published_loo.py [--profile r1] [--device cpu] [--processes 2] [--folds 2] [--epochs 3] [--plain]
"""

import argparse
import multiprocessing
import statistics
import time
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from multiprocessing.synchronize import Barrier

import torch
from memory import peak_mb
from safetensors.numpy import save
from train_step import PANEL, drawn_section

from gr2st_core.models.gr2st_published import learner, predictor
from gr2st_core.models.gr2st_published.predictor import PublishedPredictor
from gr2st_core.predictor import FitRequest
from gr2st_core.settings import Settings
from gr2st_core.training.steps import LossTerms, PlainStep

N_SPOTS = (
    *(325, 359, 343, 332, 360),  # A2 to A6
    *(295, 270, 298, 283, 289, 277),
    *(176, 187, 180, 184, 181, 178),
    *(306, 303, 301, 302, 306, 315),
    *(587, 572, 570),
    *(691, 695, 712),
    *(441, 467, 463),  # G1 to G3
)
FOLDS, EPOCHS = len(N_SPOTS), 100


@dataclass(frozen=True)
class Task:
    """What every process trains: the first ``folds`` folds, ``epochs`` epochs each.

    Attributes
    ----------
    plain
        Whether steps on a GPU are launched kernel by kernel.
    """

    profile: str
    device: str
    folds: int
    epochs: int
    plain: bool


@dataclass(frozen=True)
class Cost:
    """What one process spent.

    Attributes
    ----------
    rest
        Seconds of a fold without its third and later epochs, by the clock and in CPU-seconds; the median fold's.
    epoch
        Seconds of such an epoch, likewise.
    peak_mb, gpu_mb
        Largest resident memory, and largest memory reserved on the GPU.
    sizes
        Bytes of a stored model's weights and of its reference bank.
    """

    rest: tuple[float, float]
    epoch: tuple[float, float]
    peak_mb: float
    gpu_mb: float
    sizes: dict[str, int]


def now() -> tuple[float, float]:
    """Seconds by the clock, and CPU-seconds of this process."""
    return time.perf_counter(), time.process_time()


def note(marks: list[tuple[float, float]], *_: object) -> None:
    """Note the time at the end of an epoch."""
    marks.append(now())


def plain_step(terms: LossTerms, optimiser: torch.optim.Optimizer, _: object) -> PlainStep:
    """Stand in for the captured step."""
    return PlainStep(terms, optimiser)


def train(task: Task, start: Barrier) -> Cost:
    """Train a process's share; the clock starts when all processes have their sections."""
    torch.set_num_threads(1)
    predictor.pick_device = partial(torch.device, task.device)
    if task.plain:
        learner.CapturedStep = plain_step
    settings = getattr(Settings(), f"gr2st_{task.profile}").model_copy(update={"epochs": task.epochs})
    method = PublishedPredictor(("drawn",), settings)
    sections = [drawn_section(n_spots, f"N{number}") for number, n_spots in enumerate(N_SPOTS)]
    torch.optim.Adam([torch.zeros(1, device=task.device)])  # what a process loads once is not a fold's
    rests, epochs = [], []
    start.wait()
    for fold in range(task.folds):
        marks, request = [now()], FitRequest([*sections[:fold], *sections[fold + 1 :]], PANEL, "per_spot")
        fitted = method.fit(replace(request, progress=partial(note, marks)))
        marks.append(now())
        spent = [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(marks)]
        epochs += spent[2:-1]
        rests.append(tuple(map(sum, zip(*spent[:2], spent[-1], strict=True))))
    state = fitted.state()
    return Cost(
        rest=tuple(map(statistics.median, zip(*rests, strict=True))),
        epoch=tuple(map(statistics.median, zip(*epochs, strict=True))),
        peak_mb=peak_mb(),
        gpu_mb=torch.cuda.max_memory_reserved() / 2**20 if task.device == "cuda" else 0.0,
        sizes={"weights": len(save(dict(state.weights))), "bank": len(save(dict(state.bank)))},
    )


def _work(task: Task) -> Cost:
    return train(task, _start)


def _prepare(start: Barrier) -> None:
    global _start  # a process of a pool can be handed a barrier only when it begins
    _start = start


def measure(task: Task, processes: int) -> list[Cost]:
    """Costs of ``processes`` that train at once."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _prepare, (context.Barrier(processes),)) as pool:
        return pool.map(_work, [task] * processes, chunksize=1)


def whole_run(costs: list[Cost], kind: int) -> float:
    """Seconds of the whole run, shared by as many processes: by the clock (0), or were no core shared (1)."""
    fold = statistics.mean(cost.rest[kind] + (EPOCHS - 2) * cost.epoch[kind] for cost in costs)
    return FOLDS * fold / len(costs)


def report(name: str, costs: list[Cost]) -> None:
    """Print what the whole run would take."""
    peak, gpu = max(cost.peak_mb for cost in costs), max(cost.gpu_mb for cost in costs)
    print(f"{name}; a process peaks at {peak:.0f} MB, on the GPU at {gpu:.0f} MB")
    for kind, clock in enumerate(("the clock", "CPU-seconds")):
        epoch, rest = (statistics.mean(getattr(cost, part)[kind] for cost in costs) for part in ("epoch", "rest"))
        whole = whole_run(costs, kind)
        print(
            f"  by {clock}: epoch {epoch:.3f} s, rest of a fold {rest:.2f} s;"
            f" {FOLDS} folds of {EPOCHS} epochs in {whole:.0f} s = {whole / 3600:.2f} h",
            flush=True,
        )


def main() -> None:
    """Measure as asked, and print the extrapolation and the size of a stored model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", default="r1", choices=("r1", "r2"))
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--plain", action="store_true")
    asked = parser.parse_args()
    task = Task(asked.profile, asked.device, asked.folds, asked.epochs, asked.plain)
    costs = measure(task, asked.processes)
    report(f"{asked.profile} on {asked.device}, {asked.processes} processes of one thread", costs)
    print(f"stored model, bytes: {costs[0].sizes}")


if __name__ == "__main__":
    main()
