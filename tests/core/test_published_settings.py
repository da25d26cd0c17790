"""Full sizes are set as published, where the number of parameters would not show it (reference field.md 1)."""

from __future__ import annotations

import pytest

from gr2st_core.models.registry import METHODS
from gr2st_core.settings import Settings

DISTILLED = {"zinb_weight": 0.25, "distillation_weight": 0.5, "n_passes": 5, "max_pitches": 2.0}
ATTENTION = {"n_heads": 16, "d_head": 64, "learning_rate": 1e-5, "weight_decay": 0.0, "input_px": 112}
PUBLISHED = {
    "histogene": {**ATTENTION, "epochs": 100, "dropout": 0.1},
    "hist2st": {**ATTENTION, **DISTILLED, "epochs": 350, "dropout": 0.2, "n_neighbours": 4},
    "thitogene": {**ATTENTION, "epochs": 200, "dropout": 0.2, "n_neighbours": 4, "graph_heads": 8},
    "hggep": {
        **ATTENTION, **DISTILLED, "epochs": 500, "n_neighbours": 8, "theta": 0.7, "hypergraph_dropout": 0.5,
    },
    "mclstexp": {
        "epochs": 90, "learning_rate": 1e-4, "weight_decay": 1e-3, "batch_spots": 128, "input_px": 224, "n_heads": 8,
        "jitter": 0.5, "rotation": 180.0, "temperature": 1.0, "top_k": 200,
    },
    "reg2st": {
        "epochs": 400, "n_heads": 8, "dropout": 0.2, "n_neighbours": 6, "contrast_weight": 0.5,
        "gene_space_weight": 1.0, "zinb_weight": 0.25,
    },
}  # fmt: skip


@pytest.mark.parametrize("system", PUBLISHED)
def test_a_full_size_is_set_as_published(system) -> None:
    own = getattr(Settings(), system)
    assert {name: getattr(own, name) for name in PUBLISHED[system]} == PUBLISHED[system]
    assert own.patience is None, "no publication stops early"
    assert own.n_positions == 64


def test_hggep_joins_the_most_alike_against_its_released_code() -> None:
    assert Settings().hggep.hyperedge == "most_alike"


@pytest.mark.parametrize("name", ["histogene", "hist2st", "thitogene", "hggep", "mclstexp"])
def test_a_full_size_is_the_same_on_pixels_and_on_features(name) -> None:
    assert {METHODS[f"{name}_{profile}"].settings for profile in ("published", "features")} == {name}
