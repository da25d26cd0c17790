import numpy as np
import pytest

from gr2st_core.errors import ImageError
from gr2st_core.images.patches import cut_patches, patch_facts, patch_side_px
from gr2st_core.images.pixels import crop


class Held:
    """A slide that is an array."""

    def __init__(self, pixels):
        self.pixels = pixels

    def region(self, left, top, width, height):
        return crop(self.pixels, left, top, width, height)


def drawn(um_per_px, size_um=600.0):
    """Smooth physical pattern seen at a resolution: colour depends on the position in micrometres alone."""
    um = (np.arange(round(size_um / um_per_px)) + 0.5) * um_per_px
    y, x = np.meshgrid(um, um, indexing="ij")
    waves = [np.sin(x / 20), np.cos(y / 15), np.sin((x + y) / 25)]
    return np.rint(127 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


def cut(pixels, xy, **options):
    defaults = {"um_per_px": 1.0, "span_um": 32.0, "input_px": 32, "batch_size": 64}
    return np.concatenate(list(cut_patches(Held(pixels), np.asarray(xy, dtype=float), **(defaults | options))))


def test_a_patch_of_154_um_shows_the_same_tissue_whatever_the_resolution_of_the_image():
    patches = []
    for um_per_px in (0.92, 0.69):
        centre = np.array([[300.0, 290.0]]) / um_per_px
        patches.append(cut(drawn(um_per_px), centre, um_per_px=um_per_px, span_um=154.0, input_px=224)[0].astype(int))
    coarse, fine = patches
    assert coarse.shape == (224, 224, 3)
    assert np.abs(coarse - fine).mean() < 4
    wrong = cut(drawn(0.92), np.array([[300.0, 290.0]]) / 0.92, um_per_px=0.69, span_um=154.0, input_px=224)[0]
    assert np.abs(wrong.astype(int) - fine).mean() > 20


def test_span_in_pixels_follows_um_per_px():
    assert patch_side_px(154.0, 0.6875) == 224
    assert patch_side_px(154.0, 0.92) == 167
    assert patch_side_px(112.0, 0.5) == 224


def test_a_patch_at_the_encoders_resolution_is_the_untouched_crop_around_the_rounded_centre():
    pixels = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)
    patches = cut(pixels, [[60.4, 50.6]])
    assert np.array_equal(patches[0], pixels[51 - 16 : 51 + 16, 60 - 16 : 60 + 16])


def test_x_is_to_the_right_y_down_and_red_stays_red():
    pixels = np.zeros((100, 100, 3), dtype=np.uint8)
    pixels[10:40, 60:90] = (255, 0, 0)
    patch = cut(pixels, [[75, 25]], span_um=20.0, input_px=40)[0]
    assert patch[20, 20].tolist() == [255, 0, 0]
    assert cut(pixels, [[25, 75]], span_um=20.0, input_px=40).max() == 0


def test_beyond_the_border_the_edge_is_repeated_and_such_patches_are_counted():
    pixels = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)
    xy = np.array([[0.0, 0.0], [60.0, 50.0], [119.0, 99.0]])
    corner = cut(pixels, xy)[0]
    assert (corner[:16, :16] == pixels[0, 0]).all()
    assert np.array_equal(corner[16:, 16:], pixels[:16, :16])
    facts = patch_facts((120, 100), xy, um_per_px=1.0, span_um=32.0, input_px=32)
    assert facts.n_padded == 2
    assert np.array_equal(cut(pixels, xy), cut(np.pad(pixels, ((16, 16), (16, 16), (0, 0)), mode="edge"), xy + 16))


def test_patches_come_in_order_whatever_the_batch_size():
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    xy = np.random.default_rng(1).uniform(0, 199, (11, 2))
    batches = list(cut_patches(Held(pixels), xy, um_per_px=0.8, span_um=32.0, input_px=24, batch_size=4))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    assert np.array_equal(np.concatenate(batches), cut(pixels, xy, um_per_px=0.8, input_px=24, batch_size=64))


def test_shrinking_is_antialiased():
    stripes = np.zeros((128, 128, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    patch = cut(stripes, [[64, 64]], span_um=64.0, input_px=16)[0]
    assert patch.min() > 110
    assert patch.max() < 145


def test_magnification_says_when_the_image_is_coarser_than_the_encoder():
    xy = np.array([[500.0, 500.0]])
    native = patch_facts((1000, 1000), xy, um_per_px=0.6875, span_um=154.0, input_px=224)
    coarse = patch_facts((1000, 1000), xy, um_per_px=2.0, span_um=154.0, input_px=224)
    assert native.magnification == 1.0
    assert coarse.magnification == pytest.approx(224 / 77)


@pytest.mark.parametrize("um_per_px", [20.0, 0.0, -1.0, float("nan")])
def test_an_image_too_coarse_to_show_tissue_is_refused(um_per_px):
    with pytest.raises(ImageError, match="too coarse") as caught:
        patch_side_px(154.0, um_per_px, section="x/A1")
    assert caught.value.context["section"] == "x/A1"
    assert "9.62" in caught.value.context["expected"]


def test_a_patch_larger_than_the_image_is_refused():
    with pytest.raises(ImageError, match="larger than the image") as caught:
        patch_facts((200, 100), np.array([[50.0, 50.0]]), um_per_px=0.5, span_um=154.0, input_px=224)
    assert caught.value.context["found"] == 0.5
