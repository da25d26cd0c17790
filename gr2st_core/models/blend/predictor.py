"""The method ``blend``: choose weights on one inner split, then train every component on all sections.

Belongs here: the course of a fit and the account of it. Does not belong here: components, the search, prediction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from gr2st_core.expression.targets import to_target
from gr2st_core.models.blend.fitted import NAMED, FittedBlend, restore, share_of
from gr2st_core.models.blend.mixture import Mixture, SectionMoments, choose_mixture
from gr2st_core.models.blend.parts import Component, as_queries, labels_of, predict_all, strangers
from gr2st_core.models.linear import with_features
from gr2st_core.models.stored import describe, read_panel
from gr2st_core.predictor import FitRequest, ModelState, Needs
from gr2st_core.settings import BlendSettings
from gr2st_core.training.folds import InnerSplit, inner_splits, middle_split, split_digest
from gr2st_core.types import TrainSection


class BlendPredictor:
    """Mixture of other methods.

    Parameters
    ----------
    components
        Methods to mix, from the most to the least cautious: of equal mixtures the one with more weight on earlier
        parts wins.

    Notes
    -----
    All weights are chosen on one inner split, the `middle_split` that GR2ST chooses its number of epochs on: training
    it is what costs, and its inner run is then shared with its own job. Its inner score is a little flattered, since
    it was stopped on the sections that weigh it; the other components choose their settings within the split's
    training side. Every component is then refitted on all training sections; that its amplitude stays what it was
    inside is assumed.
    """

    method: ClassVar[str] = "blend"

    def __init__(self, components: Sequence[Component], settings: BlendSettings, profile: str = "default") -> None:
        self.components, self.settings, self.profile = tuple(components), settings, profile
        needs = [component.predictor.needs for component in self.components]
        self.needs = Needs(
            features=tuple(dict.fromkeys(name for need in needs for name in need.features)),
            cell_types=any(need.cell_types for need in needs),
            counts_only=any(need.counts_only for need in needs),
        )

    def fit(self, request: FitRequest) -> FittedBlend:
        """Choose weights on the inner split, then train all components on all sections that have an image.

        Raises
        ------
        MissingArtifactError, SplitError, NonFiniteError
        CheckpointError
            A folder holds another job's snapshots.
        """
        sections = with_features(request.sections, self.needs.features)
        split = middle_split(inner_splits(sections, request.split_unit))
        mixture = self._choose(request, sections, split)
        fitted = {component.name: component.fit(request) for component in self.components}
        histories = [history for model in fitted.values() if len(history := model.state().history)]
        means = [to_target(s.counts, request.panel, request.target).mean(axis=0, dtype=np.float64) for s in sections]
        return FittedBlend(
            components=self.components,
            fitted=fitted,
            panel=request.panel,
            mean=np.mean(means, axis=0).astype(np.float32),
            weights=mixture.weights,
            coefficients=mixture.coefficients,
            config=self._account(request, sections, split, mixture),
            history=pd.concat(histories, ignore_index=True) if histories else pd.DataFrame(),
        )

    def load(self, state: ModelState) -> FittedBlend:
        """Restore; any difference from what `FittedBlend.state` writes is an error."""
        panel = read_panel(state, self.method, self.profile, self.needs.features)
        return restore(state, panel, self.components)

    def _choose(self, request: FitRequest, sections: Sequence[TrainSection], split: InnerSplit) -> Mixture:
        # Counts of a patient that the split holds out would flatter the components that read them.
        inner = replace(request, counts_only=strangers(request.counts_only, sections))
        fitted = {component.name: component.fit_inner(inner, split) for component in self.components}
        moments = []
        for held, query in zip(split.validation, as_queries(split), strict=True):
            found = predict_all(fitted, query)
            parts = [array for c in self.components for array in c.arrays(found[c.name])]
            moments.append(SectionMoments.of(to_target(held.counts, request.panel, request.target), parts))
        return choose_mixture(moments, steps=self.settings.steps, margin=self.settings.margin)

    def _account(
        self, request: FitRequest, sections: Sequence[TrainSection], split: InnerSplit, mixture: Mixture
    ) -> dict[str, Any]:
        """Config: the weights, and everything that they were chosen from."""
        labels = labels_of(self.components)
        tried = [
            {"weights": list(weights), "pearson": None if math.isnan(score) else score}
            for weights, score in zip(mixture.candidates, mixture.scores, strict=True)
        ]
        return {
            **describe(self.method, self.profile, self.needs.features, request, sections),
            "settings": self.settings.model_dump(mode="json"),
            "choice": {
                "weights": dict(zip(labels, mixture.weights, strict=True)),
                "gr2st_share": share_of(NAMED, self.components, mixture.weights),
                "coefficients": dict(zip(labels, mixture.coefficients, strict=True)),
                "spreads": dict(zip(labels, mixture.spreads, strict=True)),
                "slope": mixture.slope,
                "parts": list(labels),
                "inner_curve": tried,
                "inner_unit": split.unit,
                "train": [str(section.key) for section in split.train],
                "validation": [str(section.key) for section in split.validation],
                "split_digest": split_digest(split.train),
            },
        }
