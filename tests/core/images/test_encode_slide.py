"""Several encoders at once give what each gives alone, and an interruption costs a block at most."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gr2st_core.errors import CheckpointError, ImageError
from gr2st_core.images import encode_slide as module
from gr2st_core.images.encode import encode_section
from gr2st_core.images.encode_slide import encode_slide
from gr2st_core.images.encoders import encoder_spec
from gr2st_core.images.slides import open_slide

NEAR = encoder_spec("color_texture")
WIDE = replace(NEAR, name="wide", span_um=309.0)
SETTINGS = {"stain": "none", "batch_size": 3, "device": "cpu"}
N = 11
IDS = np.array([f"s{row}" for row in range(N)])
XY = np.random.default_rng(1).uniform((0, 0), (499, 399), (N, 2))


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    path = tmp_path_factory.mktemp("slide") / "a.png"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(60, 250, (400, 500, 3), dtype=np.uint8)).save(path)
    return open_slide(path, max_megapixels=1, section="x/A1")


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(module, "_SPOTS_PER_BLOCK", 4)


def counting(spec):
    """The encoder, and how many patches it was given."""
    seen = []
    encode = spec.build("cpu")
    return replace(spec, build=lambda _: lambda patches: seen.append(len(patches)) or encode(patches)), seen


@pytest.mark.parametrize("stain", ["none", "reinhard"])
def test_each_encoder_gives_what_it_gives_alone(slide, stain):
    found = encode_slide(slide, XY, IDS, 2.0, [NEAR, WIDE], **SETTINGS | {"stain": stain})
    for spec in (NEAR, WIDE):
        alone = encode_section(slide, XY, 2.0, spec, **SETTINGS | {"stain": stain})
        np.testing.assert_array_equal(found[spec.name], alone)


def test_an_interrupted_slide_goes_on_after_its_last_whole_block(slide, tmp_path):
    whole = encode_slide(slide, XY, IDS, 2.0, [NEAR, WIDE], **SETTINGS)

    def interrupt(_label, done, _total):
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_slide(slide, XY, IDS, 2.0, [NEAR, WIDE], **SETTINGS, folder=tmp_path, progress=interrupt)
    near, seen = counting(NEAR)
    steps = []
    found = encode_slide(
        slide, XY, IDS, 2.0, [near, WIDE], **SETTINGS, folder=tmp_path, progress=lambda *step: steps.append(step)
    )
    assert sum(seen) == 3  # the last block of eleven spots in fours
    assert steps[0] == ("spots", 8, N)
    assert steps[-1] == ("spots", N, N)
    for name, features in whole.items():
        np.testing.assert_array_equal(found[name], features)


def test_what_is_all_there_is_not_encoded_again(slide, tmp_path):
    first = encode_slide(slide, XY, IDS, 2.0, [NEAR], **SETTINGS, folder=tmp_path)
    near, seen = counting(NEAR)
    again = encode_slide(slide, XY, IDS, 2.0, [near], **SETTINGS, folder=tmp_path)
    assert not seen
    np.testing.assert_array_equal(again[NEAR.name], first[NEAR.name])


def test_kept_features_that_are_damaged_or_of_something_else_are_refused(slide, tmp_path):
    encode_slide(slide, XY, IDS, 2.0, [NEAR], **SETTINGS, folder=tmp_path)
    with pytest.raises(CheckpointError) as caught:
        encode_slide(slide, XY, IDS, 2.0, [NEAR, WIDE], **SETTINGS, folder=tmp_path)
    assert set(caught.value.context["expected"]) == {NEAR.name, WIDE.name}
    file = sorted(tmp_path.iterdir())[0]
    file.write_bytes(b"damaged")
    with pytest.raises(CheckpointError) as caught:
        encode_slide(slide, XY, IDS, 2.0, [NEAR], **SETTINGS, folder=tmp_path)
    assert caught.value.context["file"] == file


def test_a_spot_off_the_slide_is_refused_by_name(slide):
    with pytest.raises(ImageError) as caught:
        encode_slide(slide, XY + np.array([0, 400]), IDS, 2.0, [NEAR], **SETTINGS)
    assert set(caught.value.context["found"]) <= set(IDS)


def test_a_slide_without_spots_gives_no_rows(slide):
    found = encode_slide(slide, np.empty((0, 2)), IDS[:0], 2.0, [NEAR], **SETTINGS)
    assert found[NEAR.name].shape == (0, NEAR.width)
