"""A trained GR2ST: prediction, and the functional graph it learned.

Belongs here: the reference bank's making, the mix of retrieval and regression. Does not belong here: training, files
(``stored``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from gr2st_core.errors import SettingsError
from gr2st_core.graphs.functional import edge_table, row_blocks
from gr2st_core.keys import Target
from gr2st_core.models.gr2st.batch import Query, Reference, as_query, as_reference
from gr2st_core.models.gr2st.mixing import Mix
from gr2st_core.models.gr2st.network import Gr2stNetwork
from gr2st_core.models.gr2st.scaling import BlockScaler
from gr2st_core.models.gr2st.spot_tower import SpotTower
from gr2st_core.models.gr2st.units import GeneUnits
from gr2st_core.predictor import ModelState
from gr2st_core.retrieval.bank import ReferenceBank
from gr2st_core.retrieval.references import References
from gr2st_core.settings import Gr2stSettings
from gr2st_core.types import ImageSection, Panel, Prediction, StrArray, TrainSection, require_image_sections


@dataclass(frozen=True)
class FittedGr2st:
    """A trained GR2ST.

    Attributes
    ----------
    network
        In evaluation mode; matrices hold float16 values, so that storing them changes nothing.
    scaler, units
        Of features and of genes, both of the training sections.
    bank
        Of the training spots; its expression is standardised within their sections.
    mix
        Share of retrieval and number of neighbours, chosen inside training.
    settings, panel, target
        What it was trained with.
    config
        The stored account of the training: see ``predictor``.
    history
        One row per epoch and loss term: stage, epoch, term, value.
    """

    network: Gr2stNetwork
    scaler: BlockScaler
    units: GeneUnits
    bank: ReferenceBank
    mix: Mix
    settings: Gr2stSettings
    panel: Panel
    target: Target
    config: Mapping[str, Any]
    history: pd.DataFrame = field(repr=False)

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self.network.log_scale.device

    def predict(self, section: ImageSection) -> Prediction:
        """Predict a section from its image features and spot positions.

        Returns
        -------
        Absolute expression in target units; components ``retrieval`` and ``regression``, mixed by ``weight``. Centre
        and scale come from training, so that a spot's prediction depends on its patch and its surroundings alone.

        Raises
        ------
        LeakageError
            Given anything but an ``ImageSection``, or a section that the model was trained on.
        MissingArtifactError
        """
        regression, (retrieval,) = predict_parts(
            self.network, self.bank, self._query(section), (self.mix.top_k,), self.settings.retrieval_temperature
        )
        regression, retrieval = self.units.absolute(regression), self.units.absolute(retrieval)
        weight = self.mix.weight
        return Prediction(
            key=section.key,
            spot_ids=section.spot_ids,
            genes=self.panel.genes,
            values=self.mix.of(regression, retrieval),
            components={"retrieval": retrieval, "regression": regression},
            weight=weight,
        )

    def references(self, section: ImageSection, k: int) -> References:
        """Name the training spots that ``retrieval`` averages: see ``LooksUp``."""
        query = self._query(section)
        with torch.no_grad():
            embedded, _, _ = self.network.regress(query)
        found = self.bank.search(embedded, top_k=self.mix.top_k, temperature=self.settings.retrieval_temperature)
        return References.of(self.bank, found.index, found.weights, k, part="retrieval", share=self.mix.weight)

    def _query(self, section: ImageSection) -> Query:
        require_image_sections([section])
        self.bank.refuse([section.key])
        return as_query(section, self.scaler.transform(section), self.settings.graph.radius_pitches, self.device)

    def state(self) -> ModelState:
        """Weights (network, scaler, units; matrices float16, vectors float32), bank (float16), config, history."""
        parts = {"scaler": self.scaler.to_arrays(), "units": self.units.to_arrays()}
        return ModelState(stored_weights(self.network, parts), self.config, self.bank.to_arrays(), self.history)


def predict_parts(
    network: Gr2stNetwork, bank: ReferenceBank, query: Query, top_ks: Sequence[int], temperature: float
) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
    """Compute regression, and retrieval for each number of neighbours; standardised, ``(n_spots, n_genes)``."""
    with torch.no_grad():
        embedded, regression, _ = network.regress(query)
    found = bank.search_each(embedded, top_ks=top_ks, temperature=temperature)
    return regression.cpu().numpy(), [neighbours.expression for neighbours in found]


def build_bank(
    network: Gr2stNetwork, references: Sequence[Reference], sections: Sequence[TrainSection]
) -> ReferenceBank:
    """Embed the training spots; ``references`` are the tensors of ``sections``, in the same order."""
    with torch.no_grad():
        keys = [network.embed_reference(reference)[0] for reference in references]
    return bank_of(keys, [reference.expression for reference in references], sections)


def bank_of(
    keys: Sequence[torch.Tensor], expression: Sequence[torch.Tensor], sections: Sequence[TrainSection]
) -> ReferenceBank:
    """Put embeddings and expression of training spots into a bank; one tensor of each per section, in this order."""
    return ReferenceBank(
        embeddings=torch.cat(list(keys)).half().cpu().numpy(),
        expression=torch.cat(list(expression)).half().cpu().numpy(),
        section_keys=np.repeat([str(s.key) for s in sections], [s.image.n_spots for s in sections]),
        spot_ids=np.concatenate([s.image.spot_ids for s in sections]),
    )


def stored_weights(
    network: torch.nn.Module, parts: Mapping[str, Mapping[str, NDArray[Any]]]
) -> dict[str, NDArray[Any]]:
    """Arrays of a network (matrices float16, vectors float32) and of other parts, as ``stored.restore`` reads them."""
    own = {f"network.{name}": stored_array(tensor) for name, tensor in network.state_dict().items()}
    return {**own, **{f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}}


def round_matrices(network: Gr2stNetwork) -> None:
    """Bring all matrices to float16 values in place: half the size on disk, and the loaded model is this very model."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.half())


def functional_edges(fitted: FittedGr2st, section: TrainSection) -> pd.DataFrame:
    """Edges that the trained model draws between spots of a training section that behave alike.

    Returns
    -------
    ``spot_id`` (receiver), ``neighbour_id`` (sender), ``weight`` in 0..1; sorted by the section's spot order.

    Raises
    ------
    SettingsError
        The model was trained without that graph.
    """
    if not fitted.settings.functional_graph:
        raise SettingsError("a model without a functional graph has no edges", field="functional_graph")
    reference = as_reference(section, fitted.panel, fitted.target, settings=fitted.settings, device=fitted.device)
    tower = fitted.network.spot
    with torch.no_grad():
        spots = tower.describe(reference.expression, reference.positions, reference.classes)
    return edges_between(tower, spots, reference.classes, section.image.spot_ids)


def edges_between(tower: SpotTower, spots: torch.Tensor, classes: torch.Tensor, spot_ids: StrArray) -> pd.DataFrame:
    """Edges of `functional_edges` between spots as ``tower.describe`` returns them, drawn in blocks of rows."""
    with torch.no_grad():
        chooser, chosen = tower.both_ends(spots)
        blocks = [
            edge_table(*tower.functional_rows(chooser[rows], chosen, classes, rows.start), spot_ids, rows.start)
            for rows in row_blocks(len(spots))
        ]
    return pd.concat(blocks, ignore_index=True)


def stored_array(tensor: torch.Tensor) -> NDArray[Any]:
    """Matrices as float16, vectors as float32."""
    array: NDArray[Any] = (tensor.half() if tensor.ndim > 1 else tensor).cpu().numpy()
    return array
