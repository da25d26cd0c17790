"""GR2ST as a method: choose the number of epochs inside training, then train on all of it.

Belongs here: the course of a fit and the account of it. Does not belong here: a step (``learner``), the loop
(``gr2st_core.training``), prediction (``fitted``).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from gr2st_core.models.blocks import blocks_named, encoders_of
from gr2st_core.models.gr2st.fitted import FittedGr2st, build_bank, round_matrices
from gr2st_core.models.gr2st.learner import Gr2stLearner
from gr2st_core.models.gr2st.mixing import Mix
from gr2st_core.models.gr2st.stored import require_kind, restore
from gr2st_core.models.linear import with_features
from gr2st_core.predictor import FitRequest, ModelState, Needs
from gr2st_core.settings import Gr2stSettings
from gr2st_core.training.device import pick_device
from gr2st_core.training.folds import InnerSplit, inner_splits, middle_split, split_digest
from gr2st_core.training.loop import SCORE, Run, train
from gr2st_core.types import TrainSection


class Gr2stPredictor:
    """Contrastive retrieval and cell-type guided regression on frozen patch features.

    Parameters
    ----------
    features
        A block set by its name (``m224``, ``ctx``, ``tcg``), or encoders whose patch features are read.
    settings
        Of network and training.
    profile
        ``ours``: the formulation of this project; published states of GR2ST are profiles of their own.
    """

    method: ClassVar[str] = "gr2st"

    def __init__(self, features: str | tuple[str, ...], settings: Gr2stSettings, profile: str = "ours") -> None:
        self.blocks, self.settings, self.profile = blocks_named(features), settings, profile
        self.needs = Needs(features=encoders_of(self.blocks), cell_types=True)

    def fit(self, request: FitRequest) -> FittedGr2st:
        """Train; sections without an image are left aside.

        Notes
        -----
        The number of epochs, the share of retrieval and the number of neighbours are those with the highest inner
        score on one inner split; all sections are then trained on for that number of epochs. ``config["inner"]`` tells
        the split, its digest and the curve.

        Raises
        ------
        NonFiniteError, MissingArtifactError, SplitError
        CheckpointError
            ``request.workdir`` holds another job's snapshots.
        """
        sections = with_features(request.sections, self.needs.features)
        split = middle_split(inner_splits(sections, request.split_unit))
        inner, _ = self._train(split.train, split.validation, request, "inner", self.settings.epochs)
        refit, learner = self._train(sections, [], request, "refit", inner.best_epoch)
        round_matrices(learner.network)
        network = learner.network.eval()
        return FittedGr2st(
            network=network,
            scaler=learner.scaler,
            units=learner.units,
            bank=build_bank(network, [reference for _, reference in learner.train], sections),
            mix=_mixes(inner)[inner.best_epoch - 1],
            settings=self.settings,
            panel=request.panel,
            target=request.target,
            config=self._account(request, sections, split, inner),
            history=pd.concat([inner.history("inner"), refit.history("refit")], ignore_index=True),
        )

    def fit_inner(self, request: FitRequest, split: InnerSplit) -> FittedGr2st:
        """Train on ``split.train`` for the number of epochs that is best on ``split.validation``; not to be stored.

        With the split that `fit` uses and the same folder, the search for that number is done once for both. The
        parameters of the best epoch are not kept in it, so that many epochs are then repeated, to the bit.
        """
        inner, _ = self._train(split.train, split.validation, request, "inner", self.settings.epochs)
        _, learner = self._train(split.train, [], request, "inner", inner.best_epoch, "inner_best")
        network = learner.network.eval()
        return FittedGr2st(
            network=network,
            scaler=learner.scaler,
            units=learner.units,
            bank=build_bank(network, [reference for _, reference in learner.train], split.train),
            mix=_mixes(inner)[inner.best_epoch - 1],
            settings=self.settings,
            panel=request.panel,
            target=request.target,
            config={},
            history=pd.DataFrame(),
        )

    def load(self, state: ModelState) -> FittedGr2st:
        """Restore a trained model.

        Raises
        ------
        CheckpointError
        """
        require_kind(state, self.method, self.profile, self.needs.features)
        return restore(state, self.blocks, pick_device())

    def _train(
        self,
        sections: Sequence[TrainSection],
        validation: Sequence[TrainSection],
        request: FitRequest,
        stage: str,
        epochs: int,
        file: str | None = None,
    ) -> tuple[Run, Gr2stLearner]:
        learner = Gr2stLearner(
            sections, validation, request, blocks=self.blocks, settings=self.settings, device=pick_device()
        )
        run = train(
            learner,
            stage=stage,
            epochs=epochs,
            seed=request.seed,
            patience=self.settings.patience if validation else None,
            snapshot=_snapshot(request.workdir, file or stage),
            job=self._job(request, sections),
            progress=request.progress,
        )
        return run, learner

    def _account(
        self, request: FitRequest, sections: Sequence[TrainSection], split: InnerSplit, inner: Run
    ) -> dict[str, Any]:
        return {
            "method": self.method,
            "profile": self.profile,
            "features": list(self.needs.features),
            "blocks": [block.name for block in self.blocks],
            "settings": self.settings.model_dump(mode="json"),
            "target": request.target,
            "panel": {"name": request.panel.name, "genes": list(request.panel.genes)},
            "seed": request.seed,
            "sections": [str(section.key) for section in sections],
            "split_digest": split_digest(sections),
            "n_steps": inner.best_epoch * len(sections),
            "choice": _mixes(inner)[inner.best_epoch - 1].as_config(),
            "inner": {
                "unit": split.unit,
                "train": [str(section.key) for section in split.train],
                "validation": [str(section.key) for section in split.validation],
                "split_digest": split_digest(split.train),
                "chosen_epoch": inner.best_epoch,
                "candidates": {
                    "retrieval_weight": list(self.settings.retrieval_weights),
                    "top_k": list(self.settings.top_ks),
                },
                "curve": [value if math.isfinite(value) else None for value in inner.values(SCORE)],
                "curve_mix": [mix.as_config() for mix in _mixes(inner)],
            },
        }

    def _job(self, request: FitRequest, sections: Sequence[TrainSection]) -> str:
        facts = [
            self.profile,
            [block.name for block in self.blocks],
            self.settings.digest,
            request.target,
            request.panel.sha256,
            request.seed,
        ]
        return hashlib.sha256(json.dumps([*facts, split_digest(sections)]).encode()).hexdigest()


def _mixes(inner: Run) -> list[Mix]:
    """Best mixture of every epoch."""
    pairs = zip(inner.values("inner_retrieval_weight"), inner.values("inner_top_k"), strict=True)
    return [Mix(weight, int(top_k)) for weight, top_k in pairs]


def _snapshot(workdir: Path | None, file: str) -> Path | None:
    return None if workdir is None else workdir / f"{file}.safetensors"
