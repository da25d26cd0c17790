from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gr2st_core.errors import ImageError, ModelError, NonFiniteError
from gr2st_core.images.encode import encode_section
from gr2st_core.images.encoders import encoder_spec
from gr2st_core.images.slides import open_slide

SPEC = encoder_spec("color_texture")
SETTINGS = {"stain": "none", "batch_size": 4, "device": "cpu"}


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    path = tmp_path_factory.mktemp("slide") / "a.png"
    rng = np.random.default_rng(0)
    image = np.full((400, 500, 3), 245.0)
    image[50:350, 50:450] = np.array([170, 110, 160]) + rng.normal(0, 15, (300, 400, 3))
    image[50:350, 50:450] += rng.normal(0, 15, (300, 400, 1))
    Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(path)
    return open_slide(path, max_megapixels=1, section="x/A1")


@pytest.fixture(scope="module")
def xy():
    return np.random.default_rng(1).uniform((0, 0), (499, 399), (11, 2))


def returning(numbers):
    return replace(SPEC, build=lambda _: lambda patches: np.broadcast_to(numbers, (len(patches), numbers.size)))


def test_rows_follow_the_spots(slide, xy):
    features = encode_section(slide, xy, 2.0, SPEC, **SETTINGS)
    assert features.shape == (11, 64)
    assert features.dtype == np.float32
    order = np.random.default_rng(2).permutation(11)
    assert np.array_equal(encode_section(slide, xy[order], 2.0, SPEC, **SETTINGS), features[order])


@pytest.mark.parametrize("stain", ["none", "reinhard"])
def test_batch_size_does_not_matter(slide, xy, stain):
    small, large = (
        encode_section(slide, xy, 2.0, SPEC, stain=stain, batch_size=size, device="cpu") for size in (1, 64)
    )
    np.testing.assert_allclose(small, large, atol=1e-5)


def test_stain_normalisation_changes_colour(slide, xy):
    plain = encode_section(slide, xy, 2.0, SPEC, **SETTINGS)
    normalised = encode_section(slide, xy, 2.0, SPEC, **SETTINGS | {"stain": "reinhard"})
    assert np.abs(plain[:, :3] - normalised[:, :3]).max() > 0.02


def test_no_spots_give_no_rows(slide):
    assert encode_section(slide, np.empty((0, 2)), 2.0, SPEC, **SETTINGS).shape == (0, 64)


def test_progress_counts_patches(slide, xy):
    seen = []
    encode_section(slide, xy, 2.0, SPEC, **SETTINGS, progress=lambda *step: seen.append(step))
    assert seen == [("x/A1 color_texture", done, 11) for done in (4, 8, 11)]


def test_a_spot_off_the_image_is_refused_before_anything_is_encoded(slide, xy):
    spec = replace(SPEC, build=lambda _: pytest.fail("built"))
    with pytest.raises(ImageError, match="1 of 12 spots") as caught:
        encode_section(slide, np.vstack([xy, [[500.0, 10.0]]]), 2.0, spec, **SETTINGS)
    assert caught.value.context["found"] == ["row 11"]


def test_an_encoder_is_loaded_once_for_all_sections(slide, xy):
    loaded = []
    spec = replace(SPEC, build=lambda device: (loaded.append(device), SPEC.build(device))[1])
    for _ in range(3):
        encode_section(slide, xy, 2.0, spec, **SETTINGS)
    assert loaded == ["cpu"]


def test_a_width_other_than_declared_is_refused(slide, xy):
    with pytest.raises(ModelError, match="another width") as caught:
        encode_section(slide, xy, 2.0, returning(np.zeros(63, dtype=np.float32)), **SETTINGS)
    assert (caught.value.context["found"], caught.value.context["expected"]) == (63, 64)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(slide, xy, bad):
    numbers = np.zeros(64, dtype=np.float32)
    numbers[3] = bad
    with pytest.raises(NonFiniteError) as caught:
        encode_section(slide, xy, 2.0, returning(numbers), **SETTINGS)
    assert caught.value.context["section"] == "x/A1"
    assert caught.value.context["encoder"] == "color_texture"
