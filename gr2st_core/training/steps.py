"""An optimiser step, launched kernel by kernel or as CUDA graphs.

Belongs here: how gradients and the update are launched. Does not belong here: what is minimised (each method's
``Learner``), the order of steps (``loop``).

A small network on a GPU spends its time on launching kernels. A CUDA graph launches all of a step's at once; it repeats
them on the memory that they were recorded with, so no shape in a step may depend on data, and whatever changes between
steps is changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

LossTerms = Callable[[int], dict[str, Tensor]]
"""From a section's number to its loss terms; ``total`` is what is minimised."""


class Step(Protocol):
    """An optimiser step in two halves, so that a loss that is not finite need not change anything."""

    def gradients(self, section: int) -> dict[str, float]:
        """Compute a section's loss terms, which are returned, and their gradients."""
        ...

    def update(self) -> None:
        """Move the parameters along the last gradients."""
        ...


class PlainStep:
    """A step launched kernel by kernel.

    Parameters
    ----------
    terms
        Loss of a section.
    optimiser
        Holds the parameters.
    """

    def __init__(self, terms: LossTerms, optimiser: torch.optim.Optimizer) -> None:
        self.terms, self.optimiser = terms, optimiser

    def gradients(self, section: int) -> dict[str, float]:
        """Compute a section's loss terms, which are returned, and their gradients."""
        self.optimiser.zero_grad(set_to_none=True)
        terms = self.terms(section)
        terms["total"].backward()
        return {name: float(term.detach()) for name, term in terms.items()}

    def update(self) -> None:
        """Move the parameters along the last gradients."""
        self.optimiser.step()


@dataclass(frozen=True, slots=True)
class _Recorded:
    """Graph of a section's gradients, and where it leaves its loss terms."""

    graph: torch.cuda.CUDAGraph
    names: tuple[str, ...]
    values: Tensor


class CapturedStep:
    """A step as CUDA graphs: one for the gradients of each section, one for the update.

    A section's first step is plain and prepares what a capture may not: kernels are loaded, workspaces and the
    optimiser's state allocated. Its second is captured and played, those that follow are played.

    Parameters
    ----------
    terms
        Loss of a section. It must not lead back to this object: a cycle would be freed at any time, perhaps while
        another graph is captured.
    optimiser
        A fused one, whose state is on the device, with a tensor as its learning rate. Both are changed in place only.
    sections
        Those to capture; the others' steps stay plain.
    """

    def __init__(self, terms: LossTerms, optimiser: torch.optim.Optimizer, sections: Collection[int]) -> None:
        self.plain, self.sections = PlainStep(terms, optimiser), frozenset(sections)
        self._stream, self._pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()
        self._visited: set[int] = set()
        self._recorded: dict[int, _Recorded] = {}
        self._shared: dict[torch.nn.Parameter, Tensor] = {}
        self._update: torch.cuda.CUDAGraph | None = None
        self._plays = False

    def gradients(self, section: int) -> dict[str, float]:
        """Compute a section's loss terms, which are returned, and their gradients."""
        self._plays = section in self._visited & self.sections
        self._visited.add(section)
        with self._aside():
            return self._play(section) if self._plays else self.plain.gradients(section)

    def update(self) -> None:
        """Move the parameters along the last gradients."""
        with self._aside():
            if not self._plays:
                self.plain.update()
                return
            if self._update is None:
                self._update = self._record_update()
            self._update.replay()

    def _play(self, section: int) -> dict[str, float]:
        if section not in self._recorded:
            self._recorded[section] = self._record_gradients(section)
        recorded = self._recorded[section]
        recorded.graph.replay()
        return dict(zip(recorded.names, recorded.values.tolist(), strict=True))

    def _record_gradients(self, section: int) -> _Recorded:
        if not self._shared:  # one set of gradients for all sections, so that one update serves them all
            parameters = [p for group in self.plain.optimiser.param_groups for p in group["params"]]
            self._shared = {p: torch.zeros_like(p) for p in parameters if p.grad is not None}
        graph = torch.cuda.CUDAGraph()
        with self._recording(graph):
            terms = self.plain.terms(section)
            values = torch.stack(list(terms.values())).detach()
            gradients = torch.autograd.grad(terms["total"], list(self._shared))
            torch._foreach_copy_(list(self._shared.values()), gradients)
        return _Recorded(graph, tuple(terms), values)

    def _record_update(self) -> torch.cuda.CUDAGraph:
        for parameter, gradient in self._shared.items():
            parameter.grad = gradient
        graph = torch.cuda.CUDAGraph()
        self._declare_capturable(True)  # only meanwhile: elsewhere torch warns of it
        with self._recording(graph):
            self.plain.optimiser.step()
        self._declare_capturable(False)
        return graph

    def _declare_capturable(self, capturable: bool) -> None:
        for group in self.plain.optimiser.param_groups:
            group["capturable"] = capturable

    def _recording(self, graph: torch.cuda.CUDAGraph) -> torch.cuda.graph:
        return torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local")

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """All steps run on one stream, since captures may not run on the default one."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            yield
        torch.cuda.current_stream().wait_stream(self._stream)


def restart(optimiser: torch.optim.Optimizer) -> None:
    """Bring an optimiser's state to what it is before the first step, in place."""
    for state in optimiser.state.values():
        for tensor in state.values():
            tensor.zero_()


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate, in place where it is a tensor."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
