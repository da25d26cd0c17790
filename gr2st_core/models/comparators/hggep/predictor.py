"""HGGEP as a method.

Belongs here: its name, network, starting weights and departures from what was published. Does not belong here:
training.
"""

from __future__ import annotations

from typing import ClassVar

from gr2st_core.comparator_settings.hggep import HGGEPSettings
from gr2st_core.models.comparators.hggep.network import HGGEPNetwork
from gr2st_core.models.comparators.hggep.taps import ImageTaps
from gr2st_core.models.comparators.image_weights import load_image_weights
from gr2st_core.models.comparators.lazy import LazySections
from gr2st_core.models.comparators.network import SectionNetwork
from gr2st_core.models.comparators.section_predictor import SectionPredictor


class HGGEPPredictor(SectionPredictor[HGGEPSettings]):
    """HGGEP."""

    method: ClassVar[str] = "hggep"
    deviations: ClassVar[tuple[str, ...]] = (
        "patches are cut x right, y down (published: exchanged)",
        "the number of epochs is chosen on an inner split (published: on the test section, every 5 epochs)",
        "one optimiser trains throughout at one rate (published: made anew every 5 epochs, before its schedule has "
        "changed the rate)",
        "without given weights the image encoder starts nearly linear, so that what a patch shows reaches its last "
        "maps (published: ImageNet weights)",
        "a hyperedge joins a spot to the most alike of its neighbours unless settings say otherwise (published "
        "code: to those of the largest distance in features, to which it adds an adjacency that is the same for all "
        "neighbours of a spot, so to the least alike)",
        "each hyperedge has one weight, the mean likeness of its members (published: one per member, read as if per "
        "hyperedge, so that weights belong to others)",
        "dropout between the hypergraph convolutions is off when predicting (published: on, predictions are random)",
        "a hyperedge takes 4 of a spot's 8 neighbours unless settings say otherwise (published: no number known)",
        "a likeness is exp(-distance / mean distance); ReLU between the hypergraph convolutions and dropout 0.2 in the "
        "transformers: the published account leaves these open",
        "a spot without neighbours has a hyperedge of its own (published: 0/0, no number)",
        "hyperedges of a section are made at once (published: spot by spot)",
        "neighbours are near in pitches of the slide, equally near ones in order of row and column (published: array "
        "units, in order of storage)",
        "changed patches are turned by whole quarter turns, so that no corner is empty",
        "on features: three linear layers for the taps, and no self-distillation, as there are no pixels to change",
        "sections whose grid exceeds the position tables are shrunk to fit",
    )

    def network(self, row_shape: tuple[int, ...], n_genes: int) -> HGGEPNetwork:
        """Build the network."""
        return HGGEPNetwork(self.settings, row_shape, n_genes)

    def initialise(self, network: SectionNetwork, train: LazySections) -> tuple[str, ...]:  # noqa: ARG002
        """Start the image encoder from the weights that the settings name.

        Raises
        ------
        CheckpointError
        """
        stem = network.get_submodule("stem")
        return (load_image_weights(stem.trunk, self.settings.image_weights),) if isinstance(stem, ImageTaps) else ()
