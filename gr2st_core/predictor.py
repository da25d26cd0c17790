"""What every method is to the rest of the project.

Belongs here: ``Predictor`` (an unfitted method), ``Fitted`` (a trained one), what they need and what they store.
Does not belong here: any method. The runner, never the method, owns target, panel, folds, metrics and nulls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gr2st_core.errors import MissingArtifactError
from gr2st_core.keys import SplitUnit, Target
from gr2st_core.types import ImageSection, Panel, Prediction, TrainSection

Progress = Callable[[str, int, int], None]
"""Called with a label, the steps done and the steps in all."""


def silent(label: str, done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a method reads of a section.

    Attributes
    ----------
    features
        Names of encoders whose patch features must be present; concatenated in this order.
    cell_types
        Whether training sections should carry cell types.
    counts_only
        Whether sections without an image are read too.
    pixels
        Whether patches are read from the image itself (``ImageSection.patches``).
    """

    features: tuple[str, ...] = ()
    cell_types: bool = False
    counts_only: bool = False
    pixels: bool = False


@dataclass(frozen=True, slots=True)
class FitRequest:
    """One training job, the same for every method.

    Attributes
    ----------
    sections
        Training sections in key order.
    panel, target
        Columns and normalisation to predict.
    seed
        Of every random draw.
    workdir
        Folder for resumable checkpoints of this very job, or None.
    workdirs
        For a method made of others: the folders of these methods' own jobs on the same sections, by name, so that what
        either trained the other finds. One that is missing gets a folder within ``workdir``.
    progress
        Called as training advances.
    counts_only
        Sections with counts and no image in key order, never of a held-out patient; empty for methods that do not ask
        for them (``Needs.counts_only``).
    split_unit
        What the outer fold holds out, so that choices are made on the question that will be asked. Only ``section``
        lets inner splits train on the patient they validate on.
    """

    sections: Sequence[TrainSection]
    panel: Panel
    target: Target
    seed: int = 0
    workdir: Path | None = None
    progress: Progress = silent
    counts_only: Sequence[TrainSection] = ()
    split_unit: SplitUnit = "patient"
    workdirs: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelState:
    """A trained method as plain arrays and JSON: all that is stored, nothing that runs.

    Attributes
    ----------
    weights
        Parameters; nothing in it grows with the number of training spots.
    bank
        Training spots that the method looks up (embeddings, expression, ids as bytes), empty if none.
    config
        JSON: method, profile, panel, target, settings, choices made inside training and how.
    history
        One row per epoch and loss term, or empty.
    """

    weights: Mapping[str, NDArray[Any]]
    config: Mapping[str, Any]
    bank: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    history: pd.DataFrame = field(default_factory=pd.DataFrame)


class Fitted(Protocol):
    """A trained method."""

    def predict(self, section: ImageSection) -> Prediction:
        """Predict a section that training never saw.

        Raises
        ------
        LeakageError
            If given anything but an ``ImageSection``.
        MissingArtifactError
            If features that the method needs are absent.
        """
        ...

    def state(self) -> ModelState:
        """Everything needed to predict again."""
        ...


class Predictor(Protocol):
    """An unfitted method under one profile."""

    method: ClassVar[str]
    profile: str
    needs: Needs

    def fit(self, request: FitRequest) -> Fitted:
        """Train; every choice is made from ``request.sections`` alone."""
        ...

    def load(self, state: ModelState) -> Fitted:
        """Restore a trained method.

        Raises
        ------
        CheckpointError
        """
        ...


def stack_features(section: ImageSection, names: Sequence[str]) -> NDArray[np.float32]:
    """Feature blocks side by side, float32 ``(n_spots, sum of widths)``.

    Raises
    ------
    MissingArtifactError
    """
    if missing := [name for name in names if name not in section.features]:
        raise MissingArtifactError(
            "patch features are missing", section=str(section.key), encoder=missing, found=sorted(section.features)
        )
    return np.concatenate([section.features[name] for name in names], axis=1).astype(np.float32, copy=False)
