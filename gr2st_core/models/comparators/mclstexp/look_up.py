"""Training spots in the space of mclSTExp, and the look-up among them.

Belongs here: the bank's making, the search with a setting's numbers. Does not belong here: the search itself
(``gr2st_published.retrieval``), refusal of a query that is in the bank (``fitted``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from gr2st_core.comparator_settings.mclstexp import MclStExpSettings
from gr2st_core.expression.targets import to_target
from gr2st_core.models.comparators.lazy import LazySections
from gr2st_core.models.comparators.mclstexp.network import MclStExpNetwork
from gr2st_core.models.gr2st.fitted import bank_of
from gr2st_core.models.gr2st_published.batch import table_rows
from gr2st_core.models.gr2st_published.retrieval import retrieve
from gr2st_core.retrieval.bank import Neighbours, ReferenceBank


def build_bank(network: MclStExpNetwork, sections: LazySections) -> ReferenceBank:
    """Embed training spots beside their expression in target units; the network is in evaluation mode.

    Each section is embedded as a whole and by itself: no embedding depends on the order in which spots or sections are
    stored, nor on another section. No patch is read.
    """
    keys, values = [], []
    with torch.no_grad():
        for section in sections.sections:
            expression = torch.from_numpy(to_target(section.counts, sections.panel, sections.target))
            grid = table_rows(section.image.array_xy, sections.n_positions)
            keys.append(network.spot(expression.to(sections.device), grid.to(sections.device)))
            values.append(expression)
    return bank_of(keys, values, sections.sections)


def look_up(bank: ReferenceBank, queries: Tensor, settings: MclStExpSettings) -> Neighbours:
    """Average the expression of the training spots nearest to embedded patches ``(n_query, d_embedding)``."""
    return retrieve(bank, queries, top_k=settings.top_k, distance_floor=settings.distance_floor)
