"""Every comparator learns what patches show of expression, and with other spots' patches tells nothing of a spot."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from gr2st_core.evaluation.metrics import pearson_per_gene
from gr2st_core.expression.targets import to_target
from gr2st_core.models.comparators.specs import COMPARATORS
from gr2st_core.models.spec import M224
from samples.pictured import quick, with_pixels

TRAIN = {"A1": (0, 0), "A2": (2, 4), "B1": (4, 1), "C1": (5, 3)}
"""By how much the waves of each training section are shifted."""
QUERIES = list(product((0, math.pi), repeat=2))
"""Waves and their opposites over the same places: what a place alone says scores in one what it costs in another."""
N_SPOTS = 80

QUICK = {
    "histogene_published_small": {"epochs": 15},
    "histogene_features_small": {"epochs": 20},
    "hist2st_published_small": {"epochs": 30, "depth": 1},
    "hist2st_features_small": {"epochs": 40, "depth": 1, "learning_rate": 1e-3},
    "thitogene_published_small": {"epochs": 20},
    "thitogene_features_small": {"epochs": 10},
    "hggep_published_small": {"epochs": 10, "learning_rate": 3e-3, "d_model": 32, "d_mlp": 64, "d_hypergraph": 32},
    "hggep_features_small": {"epochs": 12, "learning_rate": 1e-3, "d_model": 256},
    "mclstexp_published_small": {"epochs": 10},
    "mclstexp_features_small": {"epochs": 14},
    "reg2st_features_small": {"epochs": 100, "warm_up_epochs": 5, "depth": 1, "d_model": 64},
    "multires_features_small": {"epochs": 16},
}
"""What the few spots here want of each small system."""


def test_all_small_comparators_are_tried() -> None:
    assert set(QUICK) == {spec.name for spec in COMPARATORS if spec.profile.endswith("_small")}


def shuffled(image, seed: int):
    """Give every spot another one's patch and features; where spots lie stays."""
    order = np.random.default_rng(seed).permutation(image.n_spots)
    features = {name: values[order] for name, values in image.features.items()}
    return replace(image, features=features, patches=replace(image.patches, colours=image.patches.colours[order]))


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_link_is_learned_and_shuffled_patches_show_none(
    name, planted_section, planted_request, planted_panel
) -> None:
    def pictured(section: str, shift: tuple[float, float], n_spots: int = 48):
        return with_pixels(planted_section(section, n_spots, encoders=M224, shift=shift))

    train = [pictured(*section) for section in TRAIN.items()]
    fitted = quick(name, patience=None, **QUICK[name]).fit(planted_request(*train))
    scores = []
    for number, shift in enumerate(QUERIES):
        query = pictured(f"D{number}", shift, N_SPOTS)
        truth = to_target(query.counts, planted_panel, "per_spot")
        images = query.image, shuffled(query.image, number)
        scores.append([np.mean(pearson_per_gene(truth, fitted.predict(image).values)) for image in images])
    learned, chance = np.mean(scores, axis=0)
    assert learned > 0.25
    assert abs(chance) < 0.1
