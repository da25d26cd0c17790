import numpy as np
import pytest
from numpy.testing import assert_allclose

from gr2st_core.images.color_texture import INPUT_PX, NAMES, encode_color_texture


def described(patch):
    return dict(zip(NAMES, encode_color_texture(patch[None])[0].tolist(), strict=True))


def flat(*rgb):
    return np.full((INPUT_PX, INPUT_PX, 3), rgb, dtype=np.uint8)


def noise(n=3):
    return np.random.default_rng(0).integers(0, 256, (n, INPUT_PX, INPUT_PX, 3), dtype=np.uint8)


def test_there_are_64_distinct_columns():
    assert len(set(NAMES)) == 64
    features = encode_color_texture(noise())
    assert features.shape == (3, 64)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_a_flat_patch_has_its_colour_and_no_texture():
    facts = described(flat(51, 102, 204))
    for statistic in ("mean", "p10", "p50", "p90"):
        assert facts[f"red_{statistic}"] == pytest.approx(0.2)
        assert facts[f"green_{statistic}"] == pytest.approx(0.4)
        assert facts[f"blue_{statistic}"] == pytest.approx(0.8)
        assert facts[f"chroma_{statistic}"] == pytest.approx(0.6)
    silent = [name for name in NAMES if name.endswith(("_std", "_skewness", "_correlation", "_rim")) or "_band" in name]
    assert len(silent) == 6 + 3 + 12 + 3 + 4 + 4
    assert [facts[name] for name in silent] == pytest.approx([0.0] * len(silent), abs=1e-5)


def test_pure_stains_are_told_apart():
    haematoxylin, eosin = np.array([0.650, 0.704, 0.286]), np.array([0.072, 0.990, 0.105])
    for own, other, vector in (("haematoxylin", "eosin", haematoxylin), ("eosin", "haematoxylin", eosin)):
        colour = np.rint(255 * 10 ** -(0.7 * vector / np.linalg.norm(vector)))
        facts = described(flat(*colour))
        assert facts[f"{own}_mean"] == pytest.approx(0.7, abs=0.02)
        assert facts[f"{other}_mean"] == pytest.approx(0.0, abs=0.02)


def test_a_checkerboard_puts_its_energy_into_its_own_band():
    for level, side in ((1, 1), (2, 2), (3, 4), (4, 8)):
        index = np.arange(INPUT_PX) // side
        board = ((index[:, None] + index) % 2 * 255).astype(np.uint8)
        facts = described(np.repeat(board[..., None], 3, axis=-1))
        bands = [facts[f"green_band{k}"] for k in (1, 2, 3, 4)]
        assert bands[level - 1] == pytest.approx(0.5)
        assert sum(bands) == pytest.approx(0.5)
        assert facts["red_green_correlation"] == pytest.approx(1.0)


def test_a_ramp_has_its_slope_as_gradient():
    ramp = np.repeat((np.arange(INPUT_PX, dtype=np.uint8) * 2)[None, :, None], INPUT_PX, axis=0)
    facts = described(np.broadcast_to(ramp, (INPUT_PX, INPUT_PX, 3)))
    assert facts["green_gradient_mean"] == pytest.approx(2 / 255, rel=1e-4)
    assert facts["green_gradient_std"] == pytest.approx(0.0, abs=1e-6)


def test_shares_count_white_dark_and_nuclear_area():
    patch = flat(255, 255, 255)
    patch[:56] = 0
    facts = described(patch)
    assert facts["white_share"] == pytest.approx(0.5)
    assert facts["dark_share"] == pytest.approx(0.5)
    assert facts["nuclear_share_0.3"] == pytest.approx(0.5)
    assert facts["white_share_centre_minus_rim"] == pytest.approx(0.0, abs=1e-6)


def test_what_lies_under_the_spot_is_told_from_what_surrounds_it():
    patch = flat(255, 255, 255)
    patch[36:76, 36:76] = (255, 80, 255)
    assert described(patch)["green_centre_minus_rim"] < -0.2


def test_turning_and_mirroring_a_patch_changes_nothing():
    patches = noise()
    features = encode_color_texture(patches)
    assert_allclose(encode_color_texture(np.rot90(patches, axes=(1, 2))), features, atol=1e-5)
    assert_allclose(encode_color_texture(patches[:, ::-1]), features, atol=1e-5)


def test_a_row_depends_on_its_own_patch_alone():
    patches = noise(5)
    assert np.array_equal(encode_color_texture(patches)[3:4], encode_color_texture(patches[3:4]))
