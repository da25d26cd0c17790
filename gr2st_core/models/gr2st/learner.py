"""GR2ST in training: one network, its optimiser, the sections that teach it and those that judge it.

Belongs here: what a step minimises, and the inner score. Does not belong here: the loop (``gr2st_core.training``), the
choice of sections (``predictor``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gr2st_core.errors import NonFiniteError
from gr2st_core.models.blend.mixture import SectionMoments
from gr2st_core.models.blocks import Block
from gr2st_core.models.gr2st import losses
from gr2st_core.models.gr2st.batch import Query, Reference, as_query, as_reference
from gr2st_core.models.gr2st.fitted import build_bank, predict_parts
from gr2st_core.models.gr2st.mixing import scores_of
from gr2st_core.models.gr2st.network import Gr2stNetwork, build_network
from gr2st_core.models.gr2st.scaling import BlockScaler
from gr2st_core.models.gr2st.units import fit_units
from gr2st_core.predictor import FitRequest
from gr2st_core.settings import Gr2stSettings
from gr2st_core.training.loop import SCORE, seeded
from gr2st_core.training.snapshots import restore_tensors, snapshot_tensors
from gr2st_core.types import TrainSection


class Gr2stLearner:
    """The ``Learner`` of GR2ST.

    Parameters
    ----------
    train, validation
        Sections that teach and sections that judge; features and genes are scaled by the former alone.
    request
        Panel, target and seed.
    blocks
        Features to read.
    """

    def __init__(
        self,
        train: Sequence[TrainSection],
        validation: Sequence[TrainSection],
        request: FitRequest,
        *,
        blocks: tuple[Block, ...],
        settings: Gr2stSettings,
        device: torch.device,
    ) -> None:
        self.settings, self.device, self.sections = settings, device, list(train)
        self.scaler = BlockScaler.fit(train, blocks, settings.max_pcs)
        self.units, directions = fit_units(
            train,
            request.panel,
            request.target,
            depth_exponent=settings.depth_exponent,
            rank=settings.head_rank,
        )
        self.train = [self._pair(section, self.scaler.within(section.image), request) for section in train]
        self.validation = [self._pair(section, self.scaler.transform(section.image), request) for section in validation]
        with seeded(request.seed, "initialisation"):
            network = build_network(
                settings, d_features=self.scaler.d_features, directions=torch.from_numpy(directions)
            )
        self.network = network.to(device)
        self.optimiser = _optimiser(self.network, settings)

    @property
    def n_sections(self) -> int:
        """Steps of an epoch."""
        return len(self.train)

    def step(self, section: int, epoch: int) -> dict[str, float]:
        """Take one optimiser step on one section."""
        query, reference = self.train[section]
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = cosine_rate(epoch, self.settings)
        self.optimiser.zero_grad(set_to_none=True)
        terms = loss_terms(self.network, query, reference)
        total = self._weighted(terms)
        total.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        logged = {name: float(term.detach()) for name, term in {**terms, "total": total}.items()}
        if not all(map(math.isfinite, logged.values())):
            return logged  # the loop stops here; the parameters stay what they were
        self.optimiser.step()
        return {**logged, "contrastive_chance": math.log(len(reference.expression))}

    def score(self) -> dict[str, float] | None:
        """Inner score of every mixture of regression and retrieval over validation sections, and the best of them."""
        if not self.validation:
            return None
        self.network.eval()
        bank = build_bank(self.network, [reference for _, reference in self.train], self.sections)
        sections = []
        for query, reference in self.validation:
            regression, retrievals = predict_parts(
                self.network, bank, query, self.settings.top_ks, self.settings.retrieval_temperature
            )
            parts = [regression, *retrievals]
            if broken := sum(int((~np.isfinite(part)).sum()) for part in parts):
                raise NonFiniteError("inner predictions are not finite", found=broken)
            sections.append(SectionMoments.of(reference.expression.cpu().numpy(), parts))
        scores = scores_of(sections, self.settings)
        defined = [score for score in scores.values() if not math.isnan(score)]
        return {SCORE: max(defined, default=math.nan), **scores}

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and optimiser state."""
        return snapshot_tensors(self.network, self.optimiser)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from what `tensors` returned.

        Raises
        ------
        CheckpointError
        """
        restore_tensors(self.network, self.optimiser, tensors)

    def _pair(
        self, section: TrainSection, features: NDArray[np.float32], request: FitRequest
    ) -> tuple[Query, Reference]:
        query = as_query(section.image, features, self.settings.graph.radius_pitches, self.device)
        return query, as_reference(section, request.panel, request.target, settings=self.settings, device=self.device)

    def _weighted(self, terms: Mapping[str, Tensor]) -> Tensor:
        s = self.settings
        weights = {
            "contrastive": s.contrastive_weight,
            "mse": s.mse_weight,
            "gate": s.gate_weight,
            "attention": s.attention_weight,
        }
        return torch.stack([weights[name] * term for name, term in terms.items()]).sum()


def loss_terms(network: Gr2stNetwork, query: Query, reference: Reference) -> dict[str, Tensor]:
    """Unweighted loss terms of one section; ``gate`` is absent where no cell type is known."""
    embedded, predicted, logits = network.regress(query)
    keys, entropy = network.embed_reference(reference)
    terms = {
        "contrastive": losses.contrastive(keys, embedded, network.scale),
        "mse": losses.squared_error(reference.expression, predicted, reference.weights),
        "attention": entropy,
    }
    gate = losses.gate(logits, reference.proportions)
    return terms if gate is None else {**terms, "gate": gate}


def cosine_rate(epoch: int, settings: Gr2stSettings) -> float:
    """Learning rate of an epoch: from the first to the final rate along half a cosine."""
    share = (1 + math.cos(math.pi * epoch / settings.epochs)) / 2
    return settings.final_learning_rate + share * (settings.learning_rate - settings.final_learning_rate)


def _optimiser(network: Gr2stNetwork, settings: Gr2stSettings) -> torch.optim.AdamW:
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            exempt = name == "bias" or parameter.ndim < 2 or isinstance(module, nn.Embedding)
            (free if exempt else decayed).append(parameter)
    groups = [{"params": decayed}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
