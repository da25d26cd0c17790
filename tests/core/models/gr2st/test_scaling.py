"""Feature scaling by training statistics."""

import dataclasses

import numpy as np
import pytest

from gr2st_core.errors import MissingArtifactError
from gr2st_core.models.blocks import blocks_named
from gr2st_core.models.gr2st.scaling import FeatureScaler

TINY = blocks_named(("tiny",))


def test_training_features_have_mean_zero_and_spread_one(planted_section):
    sections = [planted_section("A1"), planted_section("B1")]
    scaler = FeatureScaler.fit(sections, TINY, max_pcs=0)
    scaled = np.concatenate([scaler.transform(section.image) for section in sections])
    assert scaler.components is None
    assert np.allclose(scaled.mean(0), 0, atol=1e-5)
    assert np.allclose(scaled.std(0), 1, atol=1e-5)


def test_components_have_mean_variance_one_and_keep_distances(planted_section):
    section = planted_section("A1")
    scaler = FeatureScaler.fit([section], TINY, max_pcs=9)
    scores = scaler.transform(section.image)
    assert scores.shape == (48, scaler.d_features) == (48, 9)
    assert scores.var(0).mean() == pytest.approx(1.0, abs=1e-2)
    assert np.allclose(np.corrcoef(scores.T), np.eye(9), atol=1e-2)


def test_a_constant_feature_stays_zero(planted_section):
    section = planted_section("A1")
    flat = section.image.features["tiny"].copy()
    flat[:, 0] = 3.0
    image = dataclasses.replace(section.image, features={"tiny": flat})
    scaler = FeatureScaler.fit([dataclasses.replace(section, image=image)], TINY, max_pcs=0)
    assert np.allclose(scaler.transform(image)[:, 0], 0, atol=1e-6)


def test_missing_and_narrow_features_are_errors_that_name_the_section(planted_section):
    section = planted_section("A1")
    scaler = FeatureScaler.fit([section], TINY, max_pcs=0)
    narrow = dataclasses.replace(section.image, features={"tiny": section.image.features["tiny"][:, :4]})
    with pytest.raises(MissingArtifactError) as caught:
        scaler.transform(narrow)
    assert caught.value.context == {"section": "toy/A1", "expected": 10, "found": 4}
    with pytest.raises(MissingArtifactError, match="missing"):
        scaler.transform(dataclasses.replace(section.image, features={}))
