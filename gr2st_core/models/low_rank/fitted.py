"""A trained low-rank regression: one linear map from scaled feature blocks to genes.

Belongs here: prediction, what is stored. Does not belong here: training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import CheckpointError, MissingArtifactError
from gr2st_core.models.blocks import Block, stack_blocks
from gr2st_core.models.low_rank.scaling import Scaling
from gr2st_core.models.low_rank.training import LinearMap
from gr2st_core.models.stored import read_arrays
from gr2st_core.predictor import ModelState
from gr2st_core.types import ImageSection, Panel, Prediction, require_image_sections


@dataclass(frozen=True, slots=True)
class FittedLowRank:
    """A trained low-rank regression.

    Attributes
    ----------
    blocks, widths
        Feature blocks in order, and the columns of each.
    scaling
        Of these columns.
    linear
        From scaled columns to standardised genes.
    mean, spread
        Of each gene in training, target units, float32 ``(n_genes,)``.
    """

    blocks: tuple[Block, ...]
    widths: tuple[int, ...]
    panel: Panel
    scaling: Scaling
    linear: LinearMap
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    config: Mapping[str, Any]

    def predict(self, section: ImageSection) -> Prediction:
        """Predict each spot from its own blocks.

        Returns
        -------
        ``values`` are absolute: centre and offset come from training, so a spot's prediction depends on its patch and
        at most on the spots that its blocks reach. The component ``relative`` is the deviation from the section's own
        mean, in target units: features are centred on the section itself.

        Raises
        ------
        LeakageError, MissingArtifactError
        """
        require_image_sections([section])
        features, widths = stack_blocks(section, self.blocks)
        if widths != self.widths:
            raise MissingArtifactError(
                "patch features have another width than in training",
                section=str(section.key),
                expected=self.widths,
                found=widths,
            )
        values = self.mean + self.spread * self.linear(self.scaling(features))
        relative = self.spread * self.linear(self.scaling.within(features))
        components = {"relative": relative.astype(np.float32)}
        return Prediction(section.key, section.spot_ids, self.panel.genes, values.astype(np.float32), components)

    def state(self) -> ModelState:
        """Store weights alone: nothing of a training spot is kept."""
        weights = {
            "feature_centre": self.scaling.centre,
            "feature_scale": self.scaling.scale,
            "coefficients": self.linear.coefficients,
            "gene_directions": self.linear.genes,
            "gene_mean": self.mean,
            "gene_spread": self.spread,
        }
        return ModelState(weights, self.config)


def restore(state: ModelState, panel: Panel, blocks: tuple[Block, ...]) -> FittedLowRank:
    """Read what `FittedLowRank.state` wrote, once its config is known to be that of these blocks.

    Raises
    ------
    CheckpointError
    """
    widths, clip = _stored_widths(state, blocks), _stored_clip(state)
    coefficients = state.weights.get("coefficients")
    r = coefficients.shape[1] if coefficients is not None and coefficients.ndim == 2 else None
    d, g = sum(widths), len(panel)
    shapes: dict[str, tuple[int | None, ...]] = {
        "feature_centre": (d,),
        "feature_scale": (d,),
        "coefficients": (d, r),
        "gene_directions": (r, g),
        "gene_mean": (g,),
        "gene_spread": (g,),
    }
    arrays = read_arrays("weights", state.weights, shapes)
    read_arrays("bank", state.bank, {})
    scaling = Scaling(arrays["feature_centre"], arrays["feature_scale"], clip)
    linear = LinearMap(arrays["coefficients"], arrays["gene_directions"])
    mean, spread = arrays["gene_mean"], arrays["gene_spread"]
    return FittedLowRank(blocks, widths, panel, scaling, linear, mean, spread, dict(state.config))


def _stored_widths(state: ModelState, blocks: tuple[Block, ...]) -> tuple[int, ...]:
    names, stored = [block.name for block in blocks], state.config.get("blocks")
    try:  # a list, since JSON keeps no order of names
        found = [(str(name), int(width)) for name, width in stored or ()]
    except (TypeError, ValueError) as error:
        raise CheckpointError("blocks are pairs of name and width", field="blocks", found=stored) from error
    if [name for name, _ in found] != names:
        raise CheckpointError("stored with other feature blocks", field="blocks", expected=names, found=stored)
    return tuple(width for _, width in found)


def _stored_clip(state: ModelState) -> float:
    settings = state.config.get("settings")
    clip = settings.get("clip") if isinstance(settings, Mapping) else None
    if not isinstance(clip, (int, float)) or not clip > 0:
        raise CheckpointError("a setting of training is missing", field="clip", found=clip)
    return float(clip)
