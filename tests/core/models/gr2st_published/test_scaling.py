"""Feature scaling by training statistics."""

import dataclasses

import numpy as np
import pytest

from gr2st_core.errors import MissingArtifactError
from gr2st_core.models.gr2st_published.scaling import FeatureScaler


def test_training_features_have_mean_zero_and_spread_one(planted_section):
    sections = [planted_section("A1"), planted_section("B1")]
    scaler = FeatureScaler.fit(sections, ("tiny",))
    scaled = np.concatenate([scaler.transform(section.image) for section in sections])
    assert np.allclose(scaled.mean(0), 0, atol=1e-5)
    assert np.allclose(scaled.std(0), 1, atol=1e-5)


def test_a_constant_feature_stays_zero(planted_section):
    section = planted_section("A1")
    flat = section.image.features["tiny"].copy()
    flat[:, 0] = 3.0
    image = dataclasses.replace(section.image, features={"tiny": flat})
    scaler = FeatureScaler.fit([dataclasses.replace(section, image=image)], ("tiny",))
    assert np.allclose(scaler.transform(image)[:, 0], 0, atol=1e-6)


def test_missing_and_narrow_features_are_errors_that_name_the_section(planted_section):
    section = planted_section("A1")
    scaler = FeatureScaler.fit([section], ("tiny",))
    narrow = dataclasses.replace(section.image, features={"tiny": section.image.features["tiny"][:, :4]})
    with pytest.raises(MissingArtifactError) as caught:
        scaler.transform(narrow)
    assert caught.value.context == {"section": "toy/A1", "expected": 10, "found": 4}
    with pytest.raises(MissingArtifactError, match="missing"):
        scaler.transform(dataclasses.replace(section.image, features={}))
