"""Which assets a run takes: studies and pages only where they are asked for."""

import pytest

import gr2st_assets.definitions  # noqa: F401 - fills the list of partitioned assets
from gr2st_assets.kinds import BLUEPRINTS
from gr2st_assets.selection import DEFAULT_METHODS, EXPLORER, SERVED, STUDIES, assets_for, assets_for_studies
from gr2st_core.errors import SettingsError
from gr2st_core.models.registry import METHODS

ASKED = {*STUDIES.values(), SERVED, EXPLORER}


def test_methods_take_everything_but_what_is_asked_for():
    assert set(assets_for(METHODS)) == set(BLUEPRINTS) - ASKED
    assert ASKED.isdisjoint(assets_for(["gr2st_ours"]))


def test_comparators_run_only_where_they_are_asked_for():
    made = assets_for([])
    own = {name for name in BLUEPRINTS if name.rpartition("_")[2] == "small" or "histogene" in name}
    assert {"models/model_histogene_published", "predictions/predictions_histogene_features_small"} <= own
    assert own.isdisjoint(made)
    assert {f"models/model_{name}" for name in DEFAULT_METHODS} <= set(made)
    assert {name for name in BLUEPRINTS if name.startswith("image/")} <= set(made)


def test_methods_are_chosen_by_pattern_too():
    found = assets_for(["*_published_small", "ridge_m224"])
    models = {name for name in found if name.startswith("models/")}
    assert models >= {"models/model_histogene_published_small", "models/model_ridge_m224"}
    assert all(name.endswith(("_published_small", "ridge_m224")) for name in models)
    assert [name for name in found if name.startswith("image/")] == ["image/embeddings_efficientnet_lite0"]
    with pytest.raises(SettingsError, match=r"unknown method.*\*_tiny"):
        assets_for(["*_tiny"])


def test_a_study_takes_the_studied_model_and_what_that_is_made_of():
    found = assets_for_studies(["ablation"])
    assert found == [name for name in BLUEPRINTS if name in found]
    assert [name for name in found if BLUEPRINTS[name].partitions == "folds"] == [
        "expression/panel",
        "models/model_gr2st_ours",
        "evaluation/ablation",
    ]
    encoders = {*METHODS["gr2st_ours"].features, "efficientnet_lite0", "color_texture"}
    assert {name for name in found if name.startswith("image/")} == {f"image/embeddings_{name}" for name in encoders}
    assert set(assets_for_studies([])) == {*found, "evaluation/sensitivity"}


def test_an_unknown_study_is_refused():
    with pytest.raises(SettingsError, match="no such study"):
        assets_for_studies(["ablations"])
