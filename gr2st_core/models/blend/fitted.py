"""A trained blend: its components, mixed by weights that training chose.

Belongs here: prediction, what is stored and its way back. Does not belong here: training, any component.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gr2st_core.errors import CheckpointError
from gr2st_core.models.blend.parts import WHOLE, Component, labels_of, predict_all
from gr2st_core.models.stored import read_arrays
from gr2st_core.predictor import Fitted, ModelState
from gr2st_core.retrieval.references import LooksUp, References
from gr2st_core.types import ImageSection, Panel, Prediction, require_image_sections

MEAN = "training_mean"
NAMED = "gr2st"
"""Method whose share a blend publishes."""


@dataclass(frozen=True, slots=True)
class FittedBlend:
    """A trained blend.

    Attributes
    ----------
    components
        In the order of the parts.
    fitted
        The trained components, by name.
    mean
        Average over training sections of each gene's mean, target units, float32 ``(n_genes,)``.
    weights, coefficients
        Share of each part, and the factor of its deviation from ``mean``.
    history
        Of the components that have one.
    """

    components: tuple[Component, ...]
    fitted: Mapping[str, Fitted]
    panel: Panel
    mean: NDArray[np.float32]
    weights: tuple[float, ...]
    coefficients: tuple[float, ...]
    config: Mapping[str, Any]
    history: pd.DataFrame = field(repr=False)

    def predict(self, section: ImageSection) -> Prediction:
        """Mix what the components predict.

        Returns
        -------
        ``values`` are absolute: the training mean, and each part's deviation from it. ``relative`` is the deviation
        from the section's own mean. ``retrieval`` and ``regression`` are GR2ST's own, ``weight`` its share in the
        mixture; the other parts are the predictions of the methods of that name.

        Raises
        ------
        LeakageError, MissingArtifactError
        """
        require_image_sections([section])
        found = predict_all(self.fitted, section)
        mean = self.mean.astype(np.float64)
        values, relative = np.tile(mean, (section.n_spots, 1)), np.zeros((section.n_spots, len(mean)))
        shown: dict[str, NDArray[np.float32]] = {}
        coefficients = iter(self.coefficients)
        for component in self.components:
            prediction = found[component.name]
            if component.predictor.method == NAMED:
                shown = {name: prediction.components[name] for name in component.parts if name != WHOLE}
            for name, part in zip(component.parts, component.arrays(prediction), strict=True):
                factor = next(coefficients)
                values += factor * (part - mean)
                own = prediction.components.get("relative") if name == WHOLE else None
                relative += factor * (part - part.mean(axis=0, dtype=np.float64) if own is None else own)
        return Prediction(
            section.key,
            section.spot_ids,
            self.panel.genes,
            values.astype(np.float32),
            {**shown, "relative": relative.astype(np.float32)},
            share_of(NAMED, self.components, self.weights),
        )

    def references(self, section: ImageSection, k: int) -> References | None:
        """Name the training spots of the part that looks spots up; of several, of the one that weighs most."""
        shares = dict(zip(labels_of(self.components), self.weights, strict=True))
        found: References | None = None
        for component in self.components:
            model = self.fitted[component.name]
            own = model.references(section, k) if isinstance(model, LooksUp) else None
            if own is None:
                continue
            is_whole = own.part not in component.parts
            label = component.name if is_whole else component.labels[component.parts.index(own.part)]
            share = shares[label] * (own.share if is_whole else 1.0)
            if found is None or share > found.share:
                found = replace(own, part=label, share=share)
        return found

    def state(self) -> ModelState:
        """All components' states, their arrays under ``<component>/``, and the mixture."""
        states = {name: model.state() for name, model in self.fitted.items()}
        config = {**self.config, "components": {name: dict(state.config) for name, state in states.items()}}
        weights = {f"{name}/{key}": array for name, state in states.items() for key, array in state.weights.items()}
        bank = {f"{name}/{key}": array for name, state in states.items() for key, array in state.bank.items()}
        return ModelState({MEAN: self.mean, **weights}, config, bank, self.history)


def share_of(method: str, components: Sequence[Component], weights: Sequence[float]) -> float:
    """Sum of the weights of a method's parts."""
    owners = [component.predictor.method for component in components for _ in component.parts]
    return math.fsum(weight for owner, weight in zip(owners, weights, strict=True) if owner == method)


def restore(state: ModelState, panel: Panel, components: tuple[Component, ...]) -> FittedBlend:
    """Read what `FittedBlend.state` wrote, once its config is known to be that of a blend.

    Raises
    ------
    CheckpointError
    """
    names = [component.name for component in components]
    stored = state.config.get("components")
    if not isinstance(stored, Mapping) or sorted(stored) != sorted(names):
        found = sorted(stored) if isinstance(stored, Mapping) else stored
        raise CheckpointError("stored with other components", field="components", expected=names, found=found)
    mean = read_arrays("weights", _own(state.weights, names), {MEAN: (len(panel),)})[MEAN]
    read_arrays("bank", _own(state.bank, names), {})
    fitted = {}
    for component in components:
        config = stored[component.name]
        for name in ("panel", "target"):
            if config.get(name) != state.config.get(name):
                raise CheckpointError("a component was trained for another job", field=f"{component.name}/{name}")
        part = ModelState(_within(state.weights, component.name), config, _within(state.bank, component.name))
        fitted[component.name] = component.predictor.load(part)
    weights, coefficients = _stored_mixture(state.config, labels_of(components))
    own = {name: value for name, value in state.config.items() if name != "components"}
    return FittedBlend(components, fitted, panel, mean, weights, coefficients, own, state.history)


def _own(arrays: Mapping[str, NDArray[Any]], names: Sequence[str]) -> dict[str, NDArray[Any]]:
    return {key: array for key, array in arrays.items() if key.partition("/")[0] not in names or "/" not in key}


def _within(arrays: Mapping[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    return {key[len(name) + 1 :]: array for key, array in arrays.items() if key.startswith(f"{name}/")}


def _stored_mixture(config: Mapping[str, Any], labels: Sequence[str]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    choice = config.get("choice")
    found = [choice.get(name) if isinstance(choice, Mapping) else None for name in ("weights", "coefficients")]
    mixture = []
    for name, values in zip(("weights", "coefficients"), found, strict=True):
        if not isinstance(values, Mapping) or set(values) != set(labels):
            raise CheckpointError("a mixture has one number a part", field=name, expected=labels, found=values)
        numbers = tuple(values[label] for label in labels)
        if not all(isinstance(x, (int, float)) and math.isfinite(x) and x >= 0 for x in numbers):
            raise CheckpointError("a mixture's numbers are at least 0", field=name, found=numbers)
        mixture.append(numbers)
    if abs(math.fsum(mixture[0]) - 1) > 1e-9:
        raise CheckpointError("weights sum to 1", field="weights", found=mixture[0])
    return mixture[0], mixture[1]
