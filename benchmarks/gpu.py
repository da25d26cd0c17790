"""GR2ST's published states and an encoder on a CUDA device: time, memory, agreement with the CPU.

Needs no cohort, no weights and no network. Each part prints its lines as soon as they are known, and one that fails
does not stop the next.

    python benchmarks/gpu.py [seconds of the longest run, 60]
"""

import platform
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial

import numpy as np
import timm
import torch
from published_loo import EPOCHS, FOLDS, Task, measure, report, whole_run
from torch import Tensor
from train_step import PANEL, drawn_section

from gr2st_core.images.efficientnet import ARCHITECTURE, MultiStage, folded
from gr2st_core.images.networks import NetworkEncoder
from gr2st_core.models.gr2st_published import predictor
from gr2st_core.models.gr2st_published.learner import PublishedLearner, weighted
from gr2st_core.models.gr2st_published.predictor import PublishedPredictor
from gr2st_core.predictor import FitRequest
from gr2st_core.settings import Settings
from gr2st_core.training.loop import seeded
from gr2st_core.training.steps import PlainStep

PROFILES = ("r1", "r2")
GOAL_SECONDS = 120


def about() -> None:
    """Name the device and the versions."""
    facts = torch.cuda.get_device_properties(0)
    print(f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB, compute capability {facts.major}.{facts.minor}")
    print(f"Python {platform.python_version()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    print(f"matrix products in {torch.get_float32_matmul_precision()} precision")


def agreement_of_steps() -> None:
    """Compare a step's loss, gradients and functional graph, and captured steps with plain ones; no dropout."""
    for profile in PROFILES:
        for n_spots in (187, 306, 712):
            cpu, gpu = (one_step(profile, n_spots, device) for device in ("cpu", "cuda"))
            apart = {name: float((gpu[1][name] - g).abs().max() / g.abs().max()) for name, g in cpu[1].items()}
            worst = max(apart, key=lambda name: apart[name])
            print(
                f"{profile}, {n_spots} spots: loss {cpu[0]:.6f} on the CPU,"
                f" {abs(gpu[0] / cpu[0] - 1):.1e} apart on the GPU; gradients {apart[worst]:.1e} at most ({worst});"
                f" {int((cpu[2] != gpu[2]).sum())} of {int(cpu[2].sum())} functional edges differ",
                flush=True,
            )
        plain, captured = (losses(profile, plain=plain) for plain in (True, False))
        apart_at = [abs(b / a - 1) for a, b in zip(plain, captured, strict=True)]
        print(
            f"{profile}, captured against plain losses: at most {max(apart_at):.1e} apart in {len(plain)} steps",
            flush=True,
        )


def still_learner(profile: str, sizes: tuple[int, ...], device: str) -> PublishedLearner:
    """A learner without dropout, whose masks every device draws by itself."""
    settings = getattr(Settings(), f"gr2st_{profile}").model_copy(update={"dropout": 0.0})
    sections = [drawn_section(n_spots, f"N{n_spots}") for n_spots in sizes]
    return PublishedLearner(
        sections, panel=PANEL, seed=0, features=("drawn",), settings=settings, device=torch.device(device)
    )


def one_step(profile: str, n_spots: int, device: str) -> tuple[float, dict[str, Tensor], Tensor]:
    """Loss, gradients by name, and mask of the functional graph."""
    learner = still_learner(profile, (n_spots,), device)
    network, batch = learner.network, learner.batches[0]
    loss = weighted(network.loss_terms(batch), learner.settings)
    loss.backward()
    with torch.no_grad():
        spots = network.spot.describe(batch.expression, batch.positions, batch.classes)
        edges = network.spot.functional_edges(spots, network.spot.head(spots), batch.classes)
    gradients = {name: p.grad.cpu() for name, p in network.named_parameters() if p.grad is not None}
    return float(loss.detach()), gradients, edges.mask.cpu()


def losses(profile: str, *, plain: bool) -> list[float]:
    """Losses of four epochs over three sections on the GPU."""
    learner = still_learner(profile, (187, 306, 712), "cuda")
    if plain:
        learner._step = PlainStep(learner._step.plain.terms, learner.optimiser)  # noqa: SLF001 - what is compared
    found = []
    for epoch in range(4):
        with seeded(0, "benchmark", epoch):
            found += [learner.step(section, epoch)["total"] for section in (2, 0, 1)]
    return found


def agreement_of_predictions() -> None:
    """Compare what one trained model predicts on both devices."""
    sections = [drawn_section(n_spots, f"N{n_spots}") for n_spots in (187, 306)]
    image = drawn_section(283, "query").image
    for profile in PROFILES:
        settings = getattr(Settings(), f"gr2st_{profile}").model_copy(update={"epochs": 2})
        method, values = PublishedPredictor(("drawn",), settings), {}
        predictor.pick_device = partial(torch.device, "cpu")
        state = method.fit(FitRequest(sections, PANEL, "per_spot")).state()
        for device in ("cpu", "cuda"):
            predictor.pick_device = partial(torch.device, device)
            values[device] = method.load(state).predict(image).values
        apart = np.abs(values["cuda"] - values["cpu"])
        print(
            f"{profile}, predictions of one model: at most {apart.max():.1e} apart, mean {apart.mean():.1e}", flush=True
        )


def leave_one_out(longest: float) -> None:
    """Measure the published run with plain and captured steps, in one and in several processes, the best for longer."""
    report("r1, plain steps, 1 process", measure(Task("r1", "cuda", 1, 4, plain=True), 1))
    trials = {}
    for processes in (1, 4):
        trials[processes] = measure(Task("r1", "cuda", 2, 8, plain=False), processes)
        report(f"r1, captured steps, {processes} processes", trials[processes])
    best = min(trials, key=lambda processes: whole_run(trials[processes], 0))
    costs = trials[best]
    fold = whole_run(costs, 0) * best / FOLDS
    folds = min(FOLDS // best, max(1, int(longest / fold)))
    epochs = min(EPOCHS, max(4, int(EPOCHS * longest / fold)))
    began = time.perf_counter()
    costs = measure(Task("r1", "cuda", folds, epochs, plain=False), best)
    taken = time.perf_counter() - began
    report(f"r1, {best * folds} folds of {epochs} epochs in {taken:.0f} s with starting, {best} processes", costs)
    whole = whole_run(costs, 0)
    print(
        f"goal of {GOAL_SECONDS} s for {FOLDS} folds: {'met' if whole <= GOAL_SECONDS else 'missed'}, {whole:.0f} s",
        flush=True,
    )
    report("r2, captured steps, 1 process", measure(Task("r2", "cuda", 1, 6, plain=False), 1))


def encoding() -> None:
    """Encode patches with the project's EfficientNet-Lite0, its weights random, in full and in half precision."""
    patches = np.random.default_rng(0).integers(256, size=(512, 224, 224, 3), dtype=np.uint8)
    torch.manual_seed(0)
    network = MultiStage(folded(timm.create_model(ARCHITECTURE, pretrained=False).eval()))
    middle = (0.5, 0.5, 0.5)
    full = None
    for half in (False, True):
        encode = NetworkEncoder(network, middle, middle, device=torch.device("cuda"), half=half)
        features = np.concatenate([encode(patches[first : first + 128]) for first in (0, 128, 256, 384)])
        full = features if full is None else full
        apart = np.abs(features - full).max() / np.abs(full).max()
        for size in (64, 256, 512):
            began = time.perf_counter()
            for _ in range(4):
                for first in range(0, len(patches), size):
                    encode(patches[first : first + size])
            rate = 4 * len(patches) / (time.perf_counter() - began)
            print(f"{'bf16' if half else 'fp32'}, channels last, {size} at once: {rate:.0f} patches/s", flush=True)
        print(f"  peak {torch.cuda.max_memory_reserved() / 2**20:.0f} MB; {apart:.1e} from fp32", flush=True)
    on_cpu = NetworkEncoder(network, middle, middle, device=torch.device("cpu"), half=False)(patches[:32])
    print(
        f"  fp32 on the GPU is {np.abs(full[:32] - on_cpu).max() / np.abs(on_cpu).max():.1e} from the CPU", flush=True
    )


def main() -> None:
    """Run all parts."""
    longest = float((sys.argv[1:] or ["60"])[0])
    parts: list[Callable[[], None]] = [
        about,
        agreement_of_steps,
        agreement_of_predictions,
        partial(leave_one_out, longest),
        encoding,
    ]
    failed = 0
    for part in parts:
        began = time.perf_counter()
        name = getattr(part, "func", part).__name__
        print(f"== {name}", flush=True)
        try:
            part()
        except Exception:  # noqa: BLE001 - shown, and counted in the exit status; the machine may be lent only once
            failed += 1
            traceback.print_exc(file=sys.stdout)
        print(f"== {name} took {time.perf_counter() - began:.0f} s", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
