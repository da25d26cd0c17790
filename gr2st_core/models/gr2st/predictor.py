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
from gr2st_core.models.gr2st.mixing import Chosen, choose
from gr2st_core.models.gr2st.stored import require_kind, restore
from gr2st_core.models.linear import with_features
from gr2st_core.predictor import FitRequest, ModelState, Needs
from gr2st_core.settings import Gr2stSettings
from gr2st_core.training.device import pick_device
from gr2st_core.training.folds import InnerSplit, inner_splits, middle_split, split_digest
from gr2st_core.training.loop import Run, train
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
        score on one inner split, or where there is one section only, on the mean of its four quadrants, each too small
        a judge alone; all sections are then trained on for that number of epochs. ``config["inner"]`` tells splits,
        digests and curve.

        Raises
        ------
        NonFiniteError, MissingArtifactError, SplitError
        CheckpointError
            ``request.workdir`` holds another job's snapshots.
        """
        sections = with_features(request.sections, self.needs.features)
        splits = _judges(inner_splits(sections, request.split_unit))
        stages = ["inner", *(f"inner_{n}" for n in range(2, len(splits) + 1))]
        inner = [self._search(request, *pair) for pair in zip(splits, stages, strict=True)]
        chosen = choose(inner, self.settings)
        refit, learner = self._train(sections, [], request, "refit", chosen.epoch)
        round_matrices(learner.network)
        network = learner.network.eval()
        return FittedGr2st(
            network=network,
            scaler=learner.scaler,
            units=learner.units,
            bank=build_bank(network, [reference for _, reference in learner.train], sections),
            mix=chosen.mix,
            settings=self.settings,
            panel=request.panel,
            target=request.target,
            config=self._account(request, sections, splits, chosen),
            history=pd.concat(
                [*(run.history(stage) for run, stage in zip(inner, stages, strict=True)), refit.history("refit")],
                ignore_index=True,
            ),
        )

    def fit_inner(self, request: FitRequest, split: InnerSplit) -> FittedGr2st:
        """Train on ``split.train`` for the number of epochs that is best on ``split.validation``; not to be stored.

        With the split that `fit` uses and the same folder, the search for that number is done once for both. The
        parameters of the best epoch are not kept in it, so that many epochs are then repeated, to the bit.
        """
        chosen = choose([self._search(request, split, "inner")], self.settings)
        _, learner = self._train(split.train, [], request, "inner", chosen.epoch, "inner_best")
        network = learner.network.eval()
        return FittedGr2st(
            network=network,
            scaler=learner.scaler,
            units=learner.units,
            bank=build_bank(network, [reference for _, reference in learner.train], split.train),
            mix=chosen.mix,
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

    def _search(self, request: FitRequest, split: InnerSplit, stage: str) -> Run:
        # Runs that are averaged epoch by epoch are of one length.
        patience = None if split.unit == "quadrant" else self.settings.patience
        epochs = self.settings.epochs
        run, _ = self._train(split.train, split.validation, request, stage, epochs, patience=patience)
        return run

    def _train(
        self,
        sections: Sequence[TrainSection],
        validation: Sequence[TrainSection],
        request: FitRequest,
        stage: str,
        epochs: int,
        file: str | None = None,
        patience: int | None = None,
    ) -> tuple[Run, Gr2stLearner]:
        learner = Gr2stLearner(
            sections, validation, request, blocks=self.blocks, settings=self.settings, device=pick_device()
        )
        run = train(
            learner,
            stage=stage,
            epochs=epochs,
            seed=request.seed,
            patience=patience,
            snapshot=_snapshot(request.workdir, file or stage),
            job=self._job(request, sections),
            progress=request.progress,
        )
        return run, learner

    def _account(
        self, request: FitRequest, sections: Sequence[TrainSection], splits: Sequence[InnerSplit], chosen: Chosen
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
            "n_steps": chosen.epoch * len(sections),
            "choice": chosen.mix.as_config(),
            "inner": {
                "unit": splits[0].unit,
                "train": [str(section.key) for section in splits[0].train],
                "validation": [str(section.key) for section in splits[0].validation],
                "split_digest": split_digest(splits[0].train),
                "split_digests": [split_digest(split.train) for split in splits],
                "chosen_epoch": chosen.epoch,
                "candidates": {
                    "retrieval_weight": list(self.settings.retrieval_weights),
                    "top_k": list(self.settings.top_ks),
                },
                "curve": [value if math.isfinite(value) else None for value in chosen.curve],
                "curve_mix": [mix.as_config() for mix in chosen.curve_mix],
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


def _judges(splits: Sequence[InnerSplit]) -> list[InnerSplit]:
    """Splits that choices are made on, the middle one first; alone unless it is a quadrant."""
    middle = middle_split(splits)
    rest = splits if middle.unit == "quadrant" else ()
    return [middle, *(split for split in rest if split is not middle)]


def _snapshot(workdir: Path | None, file: str) -> Path | None:
    return None if workdir is None else workdir / f"{file}.safetensors"
