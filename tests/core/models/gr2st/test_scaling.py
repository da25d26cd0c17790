"""Feature blocks and genes on the scale of the training sections."""

import dataclasses

import numpy as np
import pytest

from gr2st_core.errors import MissingArtifactError
from gr2st_core.expression.targets import to_target
from gr2st_core.models.blocks import Block, blocks_named
from gr2st_core.models.gr2st.scaling import BlockScaler
from gr2st_core.models.gr2st.units import GeneUnits, fit_units

TINY = blocks_named(("tiny",))


def _with_features(section, rows):
    return dataclasses.replace(section, image=dataclasses.replace(section.image, features={"tiny": rows}))


def test_a_section_read_as_training_is_centred_and_its_first_component_has_variance_one(planted_section):
    sections = [planted_section("A1"), planted_section("B1")]
    scaler = BlockScaler.fit(sections, TINY, max_pcs=6)
    read = [scaler.within(section.image) for section in sections]
    assert scaler.d_features == read[0].shape[1] == 6
    assert all(np.allclose(rows.mean(axis=0), 0, atol=1e-3) for rows in read)
    variances = np.concatenate(read).var(axis=0)
    assert variances[0] == pytest.approx(1.0, abs=1e-2)
    assert (np.diff(variances) <= 1e-3).all()


def test_a_tint_of_a_whole_training_section_changes_nothing_that_the_network_reads(planted_section):
    first, second = planted_section("A1"), planted_section("B1")
    tinted = _with_features(second, second.image.features["tiny"] + np.float32(5))
    plain, moved = (BlockScaler.fit([first, other], TINY, max_pcs=6) for other in (second, tinted))
    assert np.allclose(plain.within(second.image), moved.within(tinted.image), atol=1e-3)


def test_a_query_spot_does_not_depend_on_the_others(planted_section):
    scaler = BlockScaler.fit([planted_section("A1"), planted_section("B1")], TINY, max_pcs=6)
    image = planted_section("C1").image
    assert np.allclose(scaler.transform(image.rows(np.arange(9))), scaler.transform(image)[:9], atol=1e-6)


def test_blocks_weigh_the_same_whatever_their_width(planted_section):
    section = planted_section("A1", encoders=("tiny", "wide"))
    wide = np.repeat(section.image.features["tiny"], 7, axis=1)
    section = dataclasses.replace(
        section, image=dataclasses.replace(section.image, features={**section.image.features, "wide": wide})
    )
    scaler = BlockScaler.fit([section], (Block("tiny", "tiny"), Block("wide", "wide")), max_pcs=6)
    squares = (scaler.scaling.scale > 0) * np.square(scaler.weights)
    assert squares[:10].sum() == pytest.approx(squares[10:].sum(), rel=1e-4)


def test_a_constant_feature_stays_zero_and_only_constants_leave_nothing_undefined(planted_section):
    section = planted_section("A1")
    flat = section.image.features["tiny"].copy()
    flat[:, 0] = 3.0
    scaler = BlockScaler.fit([_with_features(section, flat)], TINY, max_pcs=9)
    moved = flat.copy()
    moved[:, 0] = 99.0
    assert np.array_equal(
        scaler.transform(_with_features(section, flat).image), scaler.transform(_with_features(section, moved).image)
    )


def test_missing_and_narrow_features_are_errors_that_name_the_section(planted_section):
    section = planted_section("A1")
    scaler = BlockScaler.fit([section], TINY, max_pcs=6)
    with pytest.raises(MissingArtifactError) as caught:
        scaler.transform(_with_features(section, section.image.features["tiny"][:, :4]).image)
    assert caught.value.context == {"section": "toy/A1", "expected": 10, "found": 4}
    with pytest.raises(MissingArtifactError, match="missing"):
        scaler.transform(dataclasses.replace(section.image, features={}))


def test_units_are_averages_over_sections_and_lead_back_to_the_target(planted_section, planted_panel):
    sections = [planted_section("A1"), planted_section("B1", n_spots=80)]
    units, _ = fit_units(sections, planted_panel, "per_spot", depth_exponent=0.5, rank=3)
    values = [to_target(s.counts, planted_panel, "per_spot") for s in sections]
    assert np.allclose(units.mean, np.mean([rows.mean(axis=0) for rows in values], axis=0), atol=1e-6)
    assert np.allclose(units.absolute(np.zeros((2, 12))), units.mean)
    assert np.allclose(units.absolute(np.ones((1, 12))) - units.mean, units.spread, atol=1e-6)
    assert units.absolute(np.ones((1, 12))).dtype == np.float32


def test_directions_are_orthogonal_the_longest_first_and_at_most_the_genes(planted_section, planted_panel):
    sections = [planted_section("A1"), planted_section("B1")]
    _, directions = fit_units(sections, planted_panel, "per_spot", depth_exponent=0.0, rank=3)
    gram = directions.T @ directions
    assert directions.shape == (12, 3)
    assert np.allclose(gram, np.diag(np.diag(gram)), atol=1e-4)
    assert (np.diff(np.diag(gram)) <= 0).all()
    assert fit_units(sections, planted_panel, "per_spot", depth_exponent=0.0, rank=99)[1].shape == (12, 12)


def test_stored_units_are_the_same():
    units = GeneUnits(np.ones(3, np.float32), np.full(3, 2.0, np.float32))
    assert np.array_equal(GeneUnits.from_arrays(units.to_arrays()).absolute(np.ones((1, 3))), np.full((1, 3), 3.0))
