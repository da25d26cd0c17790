import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from gr2st_core.errors import ImageError
from gr2st_core.images import decoded
from gr2st_core.images.decoded import DecodedImages
from gr2st_core.images.slides import open_slide


@pytest.fixture
def kept(tmp_path):
    return DecodedImages(tmp_path / "decoded", "code")


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg")
    return tmp_path / "a.jpg"


@pytest.fixture
def decodings(monkeypatch):
    """Every decoding of an image, as it happens."""
    from gr2st_core.images.slides import Slide

    seen, decode = [], Slide._decode
    monkeypatch.setattr(Slide, "_decode", lambda slide: (seen.append(slide.path.name), decode(slide))[1])
    return seen


def test_an_image_opened_again_is_not_decoded_again_and_has_the_same_bytes(image, kept, decodings):
    first, second = (open_slide(image, max_megapixels=1, kept=kept) for _ in range(2))
    thumbnails = first.thumbnail(30), second.thumbnail(30)
    assert decodings == ["a.jpg"]
    plain = open_slide(image, max_megapixels=1)
    assert second.pixels().tobytes() == plain.pixels().tobytes()
    assert thumbnails[0].tobytes() == thumbnails[1].tobytes() == plain.thumbnail(30).tobytes()
    with pytest.raises(ValueError, match="read-only"):
        second.pixels()[0, 0] = 0


def test_of_several_at_once_one_decodes(image, kept, decodings):
    slides = [open_slide(image, max_megapixels=1, kept=kept) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda slide: slide.pixels().tobytes(), slides))
    assert len(set(found)) == 1
    assert decodings == ["a.jpg"]


def test_another_file_or_another_decoder_is_another_image(image, kept, decodings):
    open_slide(image, max_megapixels=1, kept=kept).pixels()
    open_slide(image, max_megapixels=1, kept=DecodedImages(kept.folder, "other code")).pixels()
    Image.new("RGB", (90, 60)).save(image)
    assert not open_slide(image, max_megapixels=1, kept=kept).pixels().any()
    assert len(decodings) == 3


def test_what_a_killed_process_left_unfinished_is_not_taken_for_an_image(image, kept, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            open_slide(image, max_megapixels=1, kept=kept).pixels()
    assert list(kept.folder.glob("*/*.part"))
    found = open_slide(image, max_megapixels=1, kept=kept).pixels()
    assert np.array_equal(found, open_slide(image, max_megapixels=1).pixels())
    assert not list(kept.folder.glob("*/*.part"))


def test_a_damaged_image_leaves_nothing_behind(image, kept):
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(image, comment=b"\xff\xd9")  # an end marker before the end
    image.write_bytes(image.read_bytes()[:40_000])
    with pytest.raises(ImageError, match="truncated or damaged"):
        open_slide(image, max_megapixels=1, kept=kept).pixels()
    assert not list(kept.folder.glob("*/*"))


def test_nothing_is_kept_on_a_disk_that_is_nearly_full(image, kept, decodings, monkeypatch):
    monkeypatch.setattr(decoded, "LEFT_FREE_BYTES", 1 << 60)
    for _ in range(2):
        assert open_slide(image, max_megapixels=1, kept=kept).pixels().shape == (60, 90, 3)
    assert decodings == ["a.jpg"] * 2
    assert not list(kept.folder.glob("*/*"))
