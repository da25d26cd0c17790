"""Trained models in the lake.

Belongs here: putting a fitted method into an artefact, and taking it out. Does not belong here: the file format
(``gr2st_core.training.checkpoint``).
"""

import hashlib
import inspect
import shutil
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, cast

from gr2st_assets.fingerprint import code_version, imports, reached
from gr2st_assets.model_costs import keep_cost, kept_cost
from gr2st_assets.publish import crash_point
from gr2st_assets.records import Slot
from gr2st_assets.section_images import DECODED, pixel_code
from gr2st_assets.work import TRAINING, FoldWork
from gr2st_core.containers.checksums import file_sha256
from gr2st_core.errors import CheckpointError, SettingsError
from gr2st_core.models.registry import METHODS, MethodSpec, method

if TYPE_CHECKING:
    from gr2st_assets.champion_records import Contender
    from gr2st_assets.lake import Lake
    from gr2st_core.frozen import Frozen
    from gr2st_core.predictor import FitRequest, Fitted
    from gr2st_core.settings import Settings
    from gr2st_core.training.cost import Cost

ENCODER_TABLES = sorted({f"image/embeddings_{name}" for spec in METHODS.values() for name in spec.features})
"""Patch features that any method reads of a query."""

STARTING_WEIGHTS = "image_weights"
"""Setting that names a file outside the lake which a training starts from."""

_DECIDING = (
    "gr2st_core.models",
    "gr2st_core.training",
    "gr2st_core.retrieval",
    "gr2st_core.graphs",
    "gr2st_core.evaluation",
    "gr2st_core.expression",
    "gr2st_core.cells",
    "gr2st_core.predictor",
    "gr2st_core.keys",
    "gr2st_core.types",
)
"""Where the code lies that decides what a trained method is and predicts; settings count by their values."""


def method_spec(name: str) -> MethodSpec:
    """Look up a method of the registry."""
    return method(name)


def section_tables(spec: MethodSpec, *, query: bool) -> tuple[str, ...]:
    """Section tables that a method reads in training, or of a query section."""
    tables = ["raw/slides", "raw/spots", *(f"image/embeddings_{name}" for name in spec.features)]
    return tuple(tables if query else [*tables, "raw/counts", "cells/cell_types"])


@cache
def method_code(spec: MethodSpec) -> tuple[str, ...]:
    """Modules whose source decides what a method is and predicts: those that it imports, and its components'.

    Another method's code is not among them, so that a change to one does not train the others again. How images are
    read is, for methods that read pixels: features of the others carry it in their digests.
    """
    sources = [_construction(own)[0] for own in (spec, *map(method, spec.components))]
    own = reached(set().union(*map(imports, sources)), within=_DECIDING)
    return "gr2st_assets.sections", *own, *(pixel_code() if spec.pixels else ())


@cache
def _construction(spec: MethodSpec) -> tuple[str, str]:
    """Source of the function that builds a method, and the arguments it is given besides the settings."""
    build = spec.build
    function, given = (build.func, [build.args, build.keywords]) if isinstance(build, partial) else (build, [])
    return dedent(inspect.getsource(function)), repr(given)


def training_roles(spec: MethodSpec) -> tuple[str, ...]:
    """Roles of the sections that a method learns from."""
    return ("train", "counts_only") if spec.counts_only else ("train",)


def settings_digest(spec: MethodSpec, settings: "Settings") -> str:
    """Digest of a method's settings (under its name or its method's), of how it is built, and of its components."""
    own = _own_settings(spec, settings)
    parts = [settings_digest(method(name), settings) for name in spec.components]
    facts = [own.digest if own is not None else "", *_construction(spec), *parts]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _own_settings(spec: MethodSpec, settings: "Settings") -> "Frozen | None":
    """Part of the settings that is the method's own."""
    names = (spec.settings, spec.name, spec.method)
    return next((getattr(settings, name) for name in names if name and hasattr(settings, name)), None)


def starting_weights(spec: MethodSpec, settings: "Settings") -> dict[str, str]:
    """SHA-256 of the file that a training on pixels starts from, where settings name one.

    Raises
    ------
    SettingsError
        It cannot be read.
    """
    file = getattr(_own_settings(spec, settings), STARTING_WEIGHTS, None) if spec.pixels else None
    if file is None:
        return {}
    try:
        return {STARTING_WEIGHTS: file_sha256(Path(file))}
    except OSError as error:
        raise SettingsError(
            f"the file of weights to start from cannot be read: {error.strerror}",
            file=file,
            field=f"{spec.settings}.{STARTING_WEIGHTS}",
            hint="name another in the settings file, or none",
        ) from error


@dataclass(frozen=True)
class Trained:
    """A trained method and what that took.

    Attributes
    ----------
    is_resumed
        Whether it, or a method that it is made of, went on where another process had stopped: ``cost`` is then not that
        of the training. A training that was found finished has the cost that it had.
    """

    fitted: "Fitted"
    cost: "Cost"
    is_resumed: bool


def fit(work: FoldWork, spec: MethodSpec) -> Trained:
    """Train a method on a fold's training sections.

    Folds with equal training sections share a folder of checkpoints, as do targets where training does not depend on
    the target: the first trains, the others find its finished run. They wait for it, since two processes may have
    such folds at once. A method that others are made of leaves its folder to them, and finds theirs.
    """
    from filelock import FileLock

    from gr2st_core.training.cost import measured

    request = _request(work, spec)
    folder = cast("Path", request.workdir)
    folder.parent.mkdir(exist_ok=True)
    with ExitStack() as locks:
        # Always a method before its components: two jobs cannot wait for each other.
        for job in (folder, *request.workdirs.values()):
            locks.enter_context(FileLock(job.with_suffix(".lock")))
        finished, parts = kept_cost(folder), [kept_cost(job) for job in request.workdirs.values() if _is_begun(job)]
        is_resumed = finished is None and (_is_begun(folder) or None in parts)
        predictor = spec.build(work.settings)
        if spec.components:  # their folders hold its own steps too: only this says that it was begun
            folder.mkdir(exist_ok=True)
            (folder / "begun").touch()
        with measured() as own:
            fitted = predictor.fit(request)
        cost = finished or own.after(part for part in parts if part is not None)
        if not (spec.target_free or work.has_twin or _is_component(spec)):
            shutil.rmtree(folder, ignore_errors=True)
        elif folder.is_dir() and finished is None and not is_resumed:
            keep_cost(folder, cost)
    return Trained(fitted, cost, is_resumed)


def _is_begun(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _is_component(spec: MethodSpec) -> bool:
    return any(spec.name in other.components for other in METHODS.values())


def _request(work: FoldWork, spec: MethodSpec) -> "FitRequest":
    """Put the training job of one method in one fold together."""
    from gr2st_core.predictor import FitRequest

    def report(label: str, done: int, total: int) -> None:
        work.progress(label, done, total)
        crash_point("training.epoch")

    variant = work.variant
    return FitRequest(
        sections=work.train_sections(spec.features, pixels=spec.pixels),
        panel=work.panel(),
        target=variant.target,
        seed=variant.seed,
        workdir=_job_folder(work, spec),
        progress=report,
        counts_only=work.counts_only_sections() if spec.counts_only else (),
        split_unit=work.fold.split_unit,
        workdirs={name: _job_folder(work, method(name)) for name in spec.components},
    )


def _job_folder(work: FoldWork, spec: MethodSpec) -> Path:
    """Folder of checkpoints, named by everything that decides the training."""
    return work.training_folder(f"models/model_{spec.name}", job_facts(work, spec))


def job_facts(work: FoldWork, spec: MethodSpec) -> dict[str, str]:
    """Everything that decides the training of a method in a fold."""
    variant = work.variant
    return {
        **work.section_inputs(section_tables(spec, query=False), training_roles(spec)),
        **work.membership(training_roles(spec)),
        **starting_weights(spec, work.settings),
        "split_unit": _inner_question(work),
        "settings": settings_digest(spec, work.settings),
        "panel": work.panel().sha256,
        "seed": str(variant.seed),
        "target": "" if spec.target_free else variant.target,
        "code": code_version(*method_code(spec)),
    }


def _inner_question(work: FoldWork) -> str:
    """What of the split unit changes training: inner splits part patients unless only sections are held out."""
    patients = {(key.cohort, work.fold.patients[key]) for key in work.fold.train}
    return "section" if work.fold.split_unit == "section" and len(patients) > 1 else ""


def sweep_finished(root: Path) -> None:
    """Remove checkpoints and decoded images that no process is busy with: what they were kept for is done."""
    from filelock import FileLock, Timeout

    for lock in sorted(lock for name in (TRAINING, DECODED) for lock in (root / name).glob("*.lock")):
        with suppress(Timeout), FileLock(lock, blocking=False):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)


def load_fitted(work: FoldWork, name: str) -> "Fitted":
    """Restore a trained method of a fold, the newest."""
    return load_model(work.lake, name, work.slot(f"models/model_{name}"), None, work.settings)


def load_model(lake: "Lake", name: str, slot: Slot, digest: str | None, settings: "Settings") -> "Fitted":
    """Restore a trained method from the lake, every file checked against its checksum first.

    Parameters
    ----------
    digest
        Of the artefact; None takes the newest.
    settings
        Under which it was trained.

    Raises
    ------
    MissingArtifactError, DataError, CheckpointError
        The artefact is gone or damaged, or was trained otherwise.
    """
    from gr2st_core.training.checkpoint import load_state

    with lake.local_copy(slot, digest) as folder:
        state = load_state(folder)
    return method(name).build(settings).load(state)


def load_champion(lake: "Lake", contender: "Contender") -> "Fitted":
    """Restore what a champion predicts with, from the very artefact that was promoted, under its own settings.

    Raises
    ------
    MissingArtifactError, DataError, CheckpointError
        The artefact is gone, damaged, or not the model that was promoted.
    """
    from gr2st_core.settings import Settings
    from gr2st_core.training.checkpoint import load_state, state_digest

    slot, digest = contender.model
    with lake.local_copy(slot, digest) as folder:
        state = load_state(folder)
    if (found := state_digest(state)) != contender.model_id:
        raise CheckpointError("not the promoted model", file=slot, expected=contender.model_id, found=found)
    return method(contender.name).build(Settings.model_validate(contender.settings)).load(state)


def model_id(work: FoldWork, name: str) -> str:
    """Content hash of the fold's trained model."""
    slot = work.slot(f"models/model_{name}")
    return str(work.lake.require_head(slot).provenance.metadata["model_id"])
