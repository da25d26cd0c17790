"""The published states as a method: train on all sections for a fixed number of epochs, then fill the bank.

Belongs here: the course of a fit and the account of it. Does not belong here: a step (``learner``), the loop
(``gr2st_core.training``), prediction (``fitted``).

Training does not depend on the target that is asked for. In one ``workdir``, fits for several targets train once: the
later ones find the finished run and fill their bank only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, ClassVar

from gr2st_core.models.gr2st.fitted import round_matrices
from gr2st_core.models.gr2st.stored import require_kind
from gr2st_core.models.gr2st_published.batch import TRAINING_TARGET
from gr2st_core.models.gr2st_published.fitted import FittedPublished, build_bank
from gr2st_core.models.gr2st_published.learner import PublishedLearner
from gr2st_core.models.gr2st_published.stored import restore
from gr2st_core.models.linear import with_features
from gr2st_core.predictor import FitRequest, ModelState, Needs
from gr2st_core.settings import Gr2stR1Settings, Gr2stR2Settings
from gr2st_core.training.device import pick_device
from gr2st_core.training.folds import split_digest
from gr2st_core.training.loop import Run, train
from gr2st_core.types import TrainSection

STAGE = "training"


class PublishedPredictor:
    """GR2ST as published.

    Parameters
    ----------
    features
        Encoders whose patch features are read, concatenated in this order.
    settings
        Of network and training; their class is the profile, ``r1`` or ``r2``.
    """

    method: ClassVar[str] = "gr2st"

    def __init__(self, features: tuple[str, ...], settings: Gr2stR1Settings | Gr2stR2Settings) -> None:
        self.features, self.settings = features, settings
        self.profile = "r1" if isinstance(settings, Gr2stR1Settings) else "r2"
        self.needs = Needs(features=features, cell_types=True)

    def fit(self, request: FitRequest) -> FittedPublished:
        """Train; sections without an image are left aside.

        Raises
        ------
        NonFiniteError, MissingArtifactError
        CheckpointError
            ``request.workdir`` holds another job's snapshot.
        """
        sections = with_features(request.sections, self.features)
        run, learner = self._train(request, sections)
        round_matrices(learner.network)
        network = learner.network.eval()
        return FittedPublished(
            network=network,
            scaler=learner.scaler,
            bank=build_bank(network, learner.batches, sections, request.panel, request.target),
            settings=self.settings,
            panel=request.panel,
            target=request.target,
            config=self._account(request, sections, run),
            history=run.history(STAGE),
        )

    def load(self, state: ModelState) -> FittedPublished:
        """Restore a trained model.

        Raises
        ------
        CheckpointError
        """
        require_kind(state, self.method, self.profile, self.features)
        return restore(state, type(self.settings), pick_device())

    def _train(self, request: FitRequest, sections: Sequence[TrainSection]) -> tuple[Run, PublishedLearner]:
        learner = PublishedLearner(
            sections,
            panel=request.panel,
            seed=request.seed,
            features=self.features,
            settings=self.settings,
            device=pick_device(),
        )
        run = train(
            learner,
            stage=STAGE,
            epochs=self.settings.epochs,
            seed=request.seed,
            snapshot=None if request.workdir is None else request.workdir / f"{STAGE}.safetensors",
            job=self._job(request, sections),
            progress=request.progress,
        )
        return run, learner

    def _account(self, request: FitRequest, sections: Sequence[TrainSection], run: Run) -> dict[str, Any]:
        sources = sorted({"none" if s.cell_types is None else s.cell_types.method for s in sections})
        differs = ["features are standardised with training statistics", "position tables have rows in use only"]
        if isinstance(self.settings, Gr2stR1Settings):
            differs.append("equal distances on the grid are ordered by row, then column")
            weight = None
        else:
            weight = {"value": self.settings.retrieval_weight, "chosen_by": "published"}
            if request.target != TRAINING_TARGET:
                differs.append(f"as published, regression is in {TRAINING_TARGET} units, retrieval in {request.target}")
        if sources != ["hovernet"]:
            differs.append("cell classes are not HoVer-Net's")
        return {
            "method": self.method,
            "profile": self.profile,
            "features": list(self.features),
            "settings": self.settings.model_dump(mode="json"),
            "target": request.target,
            "training_target": TRAINING_TARGET,
            "panel": {"name": request.panel.name, "genes": list(request.panel.genes)},
            "seed": request.seed,
            "sections": [str(section.key) for section in sections],
            "split_digest": split_digest(sections),
            "n_steps": run.epoch * len(sections),
            "retrieval_weight": weight,
            "cell_types": sources,
            "notes": differs,
        }

    def _job(self, request: FitRequest, sections: Sequence[TrainSection]) -> str:
        facts = [self.profile, self.features, self.settings.digest, request.panel.sha256, request.seed]
        return hashlib.sha256(json.dumps([*facts, split_digest(sections)]).encode()).hexdigest()
