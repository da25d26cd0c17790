"""Trained models in the lake.

Belongs here: putting a fitted method into an artefact, and taking it out. Does not belong here: the file format
(``gr2st_core.training.checkpoint``).
"""

from typing import TYPE_CHECKING

from gr2st_assets.fingerprint import code_version
from gr2st_assets.slots import fold_slot
from gr2st_assets.work import FoldWork
from gr2st_core.models.registry import MethodSpec, method

if TYPE_CHECKING:
    from gr2st_core.predictor import FitRequest, Fitted

CODE = (
    "gr2st_core.models",
    "gr2st_core.training",
    "gr2st_core.retrieval",
    "gr2st_core.graphs",
    "gr2st_core.evaluation.metrics",
    "gr2st_core.expression.targets",
    "gr2st_core.cells.classes",
    "gr2st_assets.sections",
)
"""Modules whose source decides what a trained method is and predicts."""


def method_spec(name: str) -> MethodSpec:
    """Look up a method of the registry."""
    return method(name)


def section_tables(spec: MethodSpec, *, query: bool) -> tuple[str, ...]:
    """Section tables that a method reads in training, or of a query section."""
    tables = ["raw/slides", "raw/spots", *(f"image/embeddings_{name}" for name in spec.features)]
    return tuple(tables if query else [*tables, "raw/counts", "cells/cell_types"])


def fit_request(work: FoldWork, spec: MethodSpec) -> "FitRequest":
    """Put the training job of one method in one fold together."""
    from gr2st_core.predictor import FitRequest

    table = f"models/model_{spec.name}"
    inputs = work.section_inputs(section_tables(spec, query=False), ("train",))
    panel = work.panel()
    marks = {"settings": work.settings.digest, "panel": panel.sha256, "code": code_version(*CODE)}
    return FitRequest(
        sections=work.train_sections(spec.features),
        panel=panel,
        target=work.variant.target,
        seed=work.variant.seed,
        workdir=work.resume_folder(table, {**inputs, **marks}),
        progress=work.progress,
    )


def load_fitted(work: FoldWork, name: str) -> "Fitted":
    """Restore a trained method from the lake, every file checked against its checksum first."""
    from gr2st_core.training.checkpoint import load_state

    slot = fold_slot(work.lake, f"models/model_{name}", work.fold.fold_id, work.variant)
    with work.lake.local_copy(slot) as folder:
        state = load_state(folder)
    return method(name).build(work.settings).load(state)


def model_id(work: FoldWork, name: str) -> str:
    """Content hash of the fold's trained model."""
    slot = fold_slot(work.lake, f"models/model_{name}", work.fold.fold_id, work.variant)
    return str(work.lake.require_head(slot).provenance.metadata["model_id"])
