"""Methods that read pixels get the patches that encoders get."""

import numpy as np
import pytest
from PIL import Image

from gr2st_core.errors import ImageError
from gr2st_core.images import patch_reader
from gr2st_core.images.patch_reader import SlidePatches
from gr2st_core.images.patches import cut_patches
from gr2st_core.images.slides import open_slide


@pytest.fixture
def file(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "he.png")
    return tmp_path / "he.png"


def reader(file, sha256=None):
    return SlidePatches(lambda: open_slide(file, max_megapixels=1, section="toy/A1"), sha256)


def places(n):
    return np.random.default_rng(1).uniform(0, 300, (n, 2))


def test_patches_are_those_that_are_cut_for_encoders_in_the_order_of_the_places(file):
    xy = places(150)
    found = reader(file)(xy, 1.0, span_um=40.0, input_px=24)
    cut = cut_patches(open_slide(file, max_megapixels=1), xy, um_per_px=1.0, span_um=40.0, input_px=24, batch_size=1000)
    assert found.dtype == np.uint8
    assert np.array_equal(found, np.concatenate(list(cut)))


def test_no_places_give_no_patches(file):
    assert reader(file)(np.empty((0, 2)), 1.0, span_um=40.0, input_px=24).shape == (0, 24, 24, 3)


def test_an_image_too_coarse_for_the_span_is_named_with_what_would_do(file):
    with pytest.raises(ImageError, match=r"too coarse for the patches.*section=toy/A1.*at most 2.50"):
        reader(file)(places(2), 5.0, span_um=40.0, input_px=24)


def test_places_off_the_image_are_refused(file):
    with pytest.raises(ImageError, match="1 of 2 spots are off the image"):
        reader(file)(np.array([[10.0, 10.0], [401.0, 10.0]]), 1.0, span_um=40.0, input_px=24)


def test_another_image_than_the_expected_one_is_refused(file):
    expected = open_slide(file, max_megapixels=1).sha256
    assert len(reader(file, expected)(places(2), 1.0, span_um=40.0, input_px=24)) == 2
    Image.fromarray(np.zeros((300, 400, 3), np.uint8)).save(file)
    with pytest.raises(ImageError, match="not the one that the section was made from"):
        reader(file, expected)(places(2), 1.0, span_um=40.0, input_px=24)


def test_more_patches_than_memory_is_meant_for_are_refused_before_any_is_cut(file, monkeypatch):
    monkeypatch.setattr(patch_reader, "MAX_BYTES", 3 * 24 * 24 * 10)
    monkeypatch.setattr(patch_reader, "cut_patches", lambda *_, **__: pytest.fail("cut"))
    with pytest.raises(ImageError, match="at most 10 of 24 px"):
        reader(file)(places(11), 1.0, span_um=40.0, input_px=24)
