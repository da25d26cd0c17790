"""Feature blocks see what they are named for, and follow the spots when these are permuted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gr2st_core.errors import MissingArtifactError
from gr2st_core.models.blocks import BLOCK_SETS, Block, encoders_of, layout

ROT = ("efficientnet_lite0_rot", "efficientnet_lite0_309um_rot")


@pytest.fixture
def grid(planted_section):
    """Eight columns by six rows, one pitch apart; the spot of row r and column c is number 8 r + c."""
    return planted_section("A1", encoders=("tiny", *ROT, "color_texture")).image


def moved(section, pitch_xy):
    return replace(section, pixel_xy=np.asarray(pitch_xy, dtype=float) * section.pitch_px)


def test_the_sets_read_the_encoders_they_are_defined_by() -> None:
    assert encoders_of(BLOCK_SETS["m224"]) == ("efficientnet_lite0",)
    assert encoders_of(BLOCK_SETS["ctx"]) == ("efficientnet_lite0", "efficientnet_lite0_309um")
    assert encoders_of(BLOCK_SETS["tcg"]) == (*ROT, "color_texture")
    assert [len(blocks) for blocks in BLOCK_SETS.values()] == [1, 4, 7]
    assert all(len({block.name for block in blocks}) == len(blocks) for blocks in BLOCK_SETS.values())


def test_a_neighbour_mean_is_over_the_window_around_a_spot(grid) -> None:
    own = grid.features["tiny"].astype(np.float64).reshape(6, 8, -1)
    near, wide = (Block("x", "tiny", radius).of(grid).reshape(6, 8, -1) for radius in (1.5, 2.9))
    np.testing.assert_allclose(near[2, 3], own[1:4, 2:5].mean(axis=(0, 1)))
    np.testing.assert_allclose(wide[2, 3], own[0:5, 1:6].mean(axis=(0, 1)))
    np.testing.assert_allclose(near[0, 0], own[0:2, 0:2].mean(axis=(0, 1)))


def test_jitter_of_a_real_array_changes_no_window(grid) -> None:
    jitter = np.random.default_rng(0).uniform(-0.004, 0.004, (grid.n_spots, 2))
    for block in (Block("x", "tiny", 1.5), Block("x", "tiny", 2.9)):
        np.testing.assert_allclose(block.of(moved(grid, grid.pitch_xy + jitter)), block.of(grid))


def test_layout_counts_other_spots_and_points_away_from_the_rim(grid) -> None:
    rows = layout(grid)
    assert rows.shape == (48, 8)
    amid, corner = rows[8 * 2 + 3], rows[0]
    assert amid[:3].tolist() == [8, 20, 24]
    assert corner[:3].tolist() == [3, 7, 8]
    assert amid[5] == pytest.approx(0)
    assert corner[5] == pytest.approx(np.hypot(2 / 3, 2 / 3))


def test_an_isolated_spot_is_its_own_neighbourhood(grid) -> None:
    far = moved(grid, np.vstack([grid.pitch_xy[:-1], [500, 500]]))
    np.testing.assert_array_equal(Block("x", "tiny", 2.9).of(far)[-1], grid.features["tiny"][-1])
    assert layout(far)[-1].tolist() == [0] * 8


@pytest.mark.parametrize("block", BLOCK_SETS["tcg"], ids=lambda block: block.name)
def test_permuting_spots_permutes_rows(block, grid) -> None:
    order = np.random.default_rng(0).permutation(grid.n_spots)
    np.testing.assert_allclose(block.of(grid.rows(order)), block.of(grid)[order], atol=1e-9)


def test_moving_turning_and_scaling_the_slide_changes_nothing(grid) -> None:
    turned = grid.pitch_xy @ np.array([[0.6, -0.8], [0.8, 0.6]]) + 40
    zoomed = replace(grid, pixel_xy=turned * 33, pitch_px=33.0)
    for block in BLOCK_SETS["tcg"]:
        np.testing.assert_allclose(block.of(zoomed), block.of(grid), atol=1e-9)


def test_a_missing_encoder_is_an_error(grid) -> None:
    with pytest.raises(MissingArtifactError, match=r"section=toy/A1.*encoder=\['other'\]"):
        Block("x", "other", 1.5).of(grid)
