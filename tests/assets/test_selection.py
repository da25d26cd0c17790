"""Which assets a run takes: studies and pages only where they are asked for."""

import pytest

import gr2st_assets.definitions  # noqa: F401 - fills the list of partitioned assets
from gr2st_assets.kinds import BLUEPRINTS
from gr2st_assets.selection import EXPLORER, SERVED, STUDIES, assets_for, assets_for_studies
from gr2st_core.errors import SettingsError
from gr2st_core.models.registry import METHODS

ASKED = {*STUDIES.values(), SERVED, EXPLORER}


def test_methods_take_everything_but_what_is_asked_for():
    assert set(assets_for([])) == set(BLUEPRINTS) - ASKED
    assert set(assets_for(METHODS)) == set(BLUEPRINTS) - ASKED
    assert ASKED.isdisjoint(assets_for(["gr2st_ours"]))


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
