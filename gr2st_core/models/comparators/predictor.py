"""A comparator as a method: choose the number of epochs inside training, then train on all of it.

Belongs here: the course of a fit, the account of it, and how a stored model comes back. Does not belong here: networks
(a folder per system), a step (``learner``), what is left for systems that take a section at once
(``section_predictor``).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import pandas as pd
import torch

from gr2st_core.comparator_settings.base import ComparatorSettings
from gr2st_core.models.comparators.fitted import FittedComparator
from gr2st_core.models.comparators.lazy import LazySections
from gr2st_core.models.comparators.learner import ComparatorLearner
from gr2st_core.models.comparators.network import ComparatorNetwork, without_counters
from gr2st_core.models.comparators.sources import Reader, Source
from gr2st_core.models.gr2st.fitted import round_matrices
from gr2st_core.models.gr2st.stored import load_into, part_of, read_config, require_finite, require_kind, require_known
from gr2st_core.predictor import FitRequest, ModelState
from gr2st_core.training.device import pick_device
from gr2st_core.training.folds import InnerSplit, inner_splits, middle_split, split_digest
from gr2st_core.training.loop import Run, seeded, train
from gr2st_core.types import Panel, TrainSection

SettingsT = TypeVar("SettingsT", bound=ComparatorSettings)
NetworkT = TypeVar("NetworkT", bound=ComparatorNetwork)
FittedT = TypeVar("FittedT", bound=FittedComparator)


class ComparatorPredictor(Generic[SettingsT, NetworkT, FittedT]):
    """A system that trains section by section.

    A system is a subclass that names itself, builds its network, says where it departs from what was published, and
    how it learns and predicts (`SectionPredictor` says the latter for systems that take a section at once).

    Parameters
    ----------
    profile
        Which form of the system, and in which size: ``published``, ``features``, each also ``_small``.
    source
        Where spots' rows come from.
    settings
        Of network and training.
    """

    method: ClassVar[str]
    deviations: ClassVar[tuple[str, ...]] = ()
    """What differs from the published system in every profile, and why."""
    adam: ClassVar[type[torch.optim.Optimizer]] = torch.optim.Adam
    """Which Adam trains it: plain, or ``AdamW``."""

    def __init__(self, profile: str, source: Source, settings: SettingsT) -> None:
        self.profile, self.source, self.settings = profile, source, settings
        self.needs = source.needs

    def network(self, row_shape: tuple[int, ...], n_genes: int) -> NetworkT:
        """Build the network with fresh parameters drawn from torch's current random state.

        Parameters
        ----------
        row_shape
            Of a spot's input.
        """
        raise NotImplementedError

    def initialise(self, network: NetworkT, train: LazySections) -> tuple[str, ...]:  # noqa: ARG002 - for some systems
        """Give a fresh network what does not start at random; only training calls this, never loading.

        Parameters
        ----------
        train
            What it is about to learn from.

        Returns
        -------
        Sentences on where it starts, for the account.

        Raises
        ------
        CheckpointError
            A file to start from does not fit.
        """
        return ()

    def optimiser(self, network: NetworkT) -> torch.optim.Optimizer:
        """Make the optimiser of all parameters."""
        options = self.settings
        return self.adam(network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay, fused=True)

    def learner(self, network: NetworkT, train: LazySections, validation: LazySections) -> ComparatorLearner[NetworkT]:
        """Put a network, the sections that teach it and those that judge it together."""
        raise NotImplementedError

    def fitted(
        self, learner: ComparatorLearner[NetworkT], panel: Panel, config: Mapping[str, Any], history: pd.DataFrame
    ) -> FittedT:
        """Take the trained method from what is left when training is over; the network is in evaluation mode."""
        raise NotImplementedError

    def restored(
        self, network: NetworkT, reader: Reader, settings: SettingsT, panel: Panel, state: ModelState
    ) -> FittedT:
        """Put a stored method together again.

        Parameters
        ----------
        network, reader
            As they were stored.
        settings
            That it was trained with.

        Raises
        ------
        CheckpointError
            What else it needs of the state does not fit.
        """
        raise NotImplementedError

    def fit(self, request: FitRequest) -> FittedT:
        """Train; sections without an image are left aside.

        Raises
        ------
        NonFiniteError, MissingArtifactError, SplitError
        CheckpointError
            ``request.workdir`` holds another job's snapshots, or a file to start from does not fit.
        """
        sections = self.source.usable(request.sections)
        split = middle_split(inner_splits(sections, request.split_unit))
        inner, *_ = self._train(request, "inner", split.train, split.validation, self.settings.epochs)
        refit, learner, started = self._train(request, "refit", sections, [], inner.best_epoch)
        round_matrices(learner.network)
        learner.network.eval()
        account = self._account(request, sections, split, inner, started, learner.n_steps * refit.epoch)
        history = pd.concat([inner.history("inner"), refit.history("refit")], ignore_index=True)
        return self.fitted(learner, request.panel, account, history)

    def load(self, state: ModelState) -> FittedT:
        """Restore a trained model; its predictions are those of the model that was stored.

        Raises
        ------
        CheckpointError
            A name, shape, type or number in the state is not what the config says.
        """
        require_kind(state, self.method, self.profile, self.needs.features)
        settings, panel = read_config(state.config, type(self.settings))
        require_finite(state)
        reader = self.source.restore(part_of(state.weights, "source"))
        with torch.device("meta"):  # shapes only: nothing is drawn or allocated before the stored values arrive
            network = type(self)(self.profile, self.source, settings).built(reader.shape, len(panel))
        load_into(network, part_of(state.weights, "network"))
        require_known(state, network, {"source": reader.to_arrays()})
        return self.restored(network.to(pick_device()).eval(), reader, settings, panel, state)

    def built(self, row_shape: tuple[int, ...], n_genes: int) -> NetworkT:
        """Network as it is trained and stored."""
        network = self.network(row_shape, n_genes)
        without_counters(network)
        return network

    def _train(
        self,
        request: FitRequest,
        stage: str,
        sections: Sequence[TrainSection],
        validation: Sequence[TrainSection],
        epochs: int,
    ) -> tuple[Run, ComparatorLearner[NetworkT], tuple[str, ...]]:
        device, reader = pick_device(), self.source.fit(sections)
        with seeded(request.seed, "initialisation"):
            network = self.built(reader.shape, len(request.panel)).to(device)

        def lazily(own: Sequence[TrainSection]) -> LazySections:
            positions = self.settings.n_positions
            return LazySections(own, reader, request.panel, request.target, n_positions=positions, device=device)

        taught = lazily(sections)
        started = self.initialise(network, taught)
        learner = self.learner(network, taught, lazily(validation))
        run = train(
            learner,
            stage=stage,
            epochs=epochs,
            seed=request.seed,
            patience=self.settings.patience if validation else None,
            snapshot=None if request.workdir is None else request.workdir / f"{stage}.safetensors",
            job=self._job(request, sections, started),
            progress=request.progress,
        )
        return run, learner, started

    def _account(
        self,
        request: FitRequest,
        sections: Sequence[TrainSection],
        split: InnerSplit,
        inner: Run,
        started: tuple[str, ...],
        n_steps: int,
    ) -> dict[str, Any]:
        return {
            "method": self.method,
            "profile": self.profile,
            "features": list(self.needs.features),
            "settings": self.settings.model_dump(mode="json"),
            "target": request.target,
            "panel": {"name": request.panel.name, "genes": list(request.panel.genes)},
            "seed": request.seed,
            "sections": [str(section.key) for section in sections],
            "split_digest": split_digest(sections),
            "n_steps": n_steps,
            "inner": {
                "unit": split.unit,
                "train": [str(section.key) for section in split.train],
                "validation": [str(section.key) for section in split.validation],
                "split_digest": split_digest(split.train),
                "chosen_epoch": inner.best_epoch,
                "best_score": inner.best_score if math.isfinite(inner.best_score) else None,
            },
            "notes": [*self.deviations, *started],
        }

    def _job(self, request: FitRequest, sections: Sequence[TrainSection], started: tuple[str, ...]) -> str:
        facts = [self.profile, self.settings.digest, request.target, request.panel.sha256, request.seed, *started]
        return hashlib.sha256(json.dumps([*facts, split_digest(sections)]).encode()).hexdigest()
