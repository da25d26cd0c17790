import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from gr2st_core.errors import ImageError
from gr2st_core.images.slides import open_slide, png_bytes, require_on_image, tissue_mask


def save(path, pixels, mode="RGB", **options):
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return path


def noise(height=60, width=90, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def header_only_png(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    end = b"IEND"
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        + struct.pack(">I", 0) + end + struct.pack(">I", zlib.crc32(end))
    )  # fmt: skip


def test_png_pixels_come_back_exactly_and_are_read_only(tmp_path):
    pixels = noise()
    slide = open_slide(save(tmp_path / "a.png", pixels), max_megapixels=1)
    assert slide.size_px == (90, 60)
    assert np.array_equal(slide.pixels(), pixels)
    assert slide.pixels() is slide.pixels()
    with pytest.raises(ValueError, match="read-only"):
        slide.pixels()[0, 0] = 0


def test_red_is_the_first_channel(tmp_path):
    red = np.zeros((32, 32, 3), dtype=np.uint8)
    red[..., 0] = 200
    slide = open_slide(save(tmp_path / "red.jpg", red, quality=95), max_megapixels=1)
    assert slide.pixels()[16, 16].tolist() == pytest.approx([200, 0, 0], abs=4)
    assert slide.thumbnail(8)[4, 4].tolist() == pytest.approx([200, 0, 0], abs=4)


@pytest.mark.parametrize(("mode", "name"), [("L", "a.png"), ("CMYK", "a.tif"), ("P", "a.png"), ("L", "a.jpg")])
def test_other_pixel_types_become_rgb(tmp_path, mode, name):
    flat = np.full((20, 20, 3), 153, dtype=np.uint8)
    slide = open_slide(save(tmp_path / name, flat, mode), max_megapixels=1)
    assert slide.pixels().shape == (20, 20, 3)
    assert slide.pixels()[3, 3].tolist() == pytest.approx([153, 153, 153], abs=2)


def test_transparent_pixels_are_white_like_the_glass(tmp_path):
    rgba = np.zeros((20, 20, 4), dtype=np.uint8)
    rgba[:10] = (10, 20, 30, 255)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    pixels = open_slide(tmp_path / "a.png", max_megapixels=1).pixels()
    assert pixels[0, 0].tolist() == [10, 20, 30]
    assert pixels[15, 0].tolist() == [255, 255, 255]


def test_orientation_tag_is_ignored_because_spots_are_given_on_the_stored_grid(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    slide = open_slide(save(tmp_path / "a.jpg", noise(60, 90), exif=exif), max_megapixels=1)
    assert slide.size_px == (90, 60)
    assert slide.pixels().shape == (60, 90, 3)


def test_sixteen_bit_pixels_are_refused(tmp_path):
    Image.fromarray(np.zeros((20, 20), dtype=np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(ImageError) as caught:
        open_slide(tmp_path / "a.png", max_megapixels=1, section="x/A1")
    assert caught.value.context["found"].startswith("I;16")
    assert caught.value.context["section"] == "x/A1"


def test_a_huge_image_is_refused_by_its_header_alone(tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    path.write_bytes(header_only_png(100_000, 100_000))
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    with pytest.raises(ImageError, match="too large") as caught:
        open_slide(path, max_megapixels=250, section="x/A1")
    assert caught.value.context["file"] == path
    assert "100000x100000" in caught.value.context["found"]
    assert "250000000" in caught.value.context["expected"]
    assert "max_megapixels" in caught.value.context["hint"]


def test_an_image_above_pillows_own_cap_opens_and_the_cap_stays(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    path = tmp_path / "large.png"
    path.write_bytes(header_only_png(15_000, 15_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_slide(path, max_megapixels=250).size_px == (15_000, 15_000)
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_file_longer_than_its_pixels_could_be_is_refused(tmp_path):
    path = save(tmp_path / "a.png", noise(8, 8))
    with path.open("ab") as file:
        file.write(bytes(5_000_000))
    with pytest.raises(ImageError, match="too large"):
        open_slide(path, max_megapixels=1)


def test_a_cut_off_jpeg_is_refused_when_opened(tmp_path):
    path = save(tmp_path / "a.jpg", noise(400, 400))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ImageError, match="truncated") as caught:
        open_slide(path, max_megapixels=1, section="x/A1")
    assert caught.value.context["file"] == path


def png_with_a_hole(path):
    data = save(path, noise(400, 400)).read_bytes()
    path.write_bytes(data[: len(data) // 2] + data[-20:])


def jpeg_cut_off_behind_an_inner_end_marker(path):
    data = save(path, noise(400, 400), comment=b"\xff\xd9").read_bytes()
    path.write_bytes(data[:40_000])


@pytest.mark.parametrize("look", ["pixels", "thumbnail"])
@pytest.mark.parametrize(
    ("name", "damage"), [("a.png", png_with_a_hole), ("a.jpg", jpeg_cut_off_behind_an_inner_end_marker)]
)
def test_damage_that_opening_cannot_see_is_refused_when_decoded(tmp_path, look, name, damage):
    path = tmp_path / name
    damage(path)
    slide = open_slide(path, max_megapixels=1, section="x/A1")
    with pytest.raises(ImageError, match="truncated or damaged") as caught:
        slide.pixels() if look == "pixels" else slide.thumbnail(100)
    assert caught.value.context["section"] == "x/A1"


@pytest.mark.parametrize("content", [b"", b"GIF89a and so on", b"\xff\xd8\xff\xe0rubbish\xff\xd9", b"II*\0\0\0"])
def test_what_is_no_image_is_refused(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError) as caught:
        open_slide(path, max_megapixels=1)
    assert caught.value.context["file"] == path


def test_a_missing_file_is_an_image_error(tmp_path):
    with pytest.raises(ImageError, match="cannot be read"):
        open_slide(tmp_path / "none.jpg", max_megapixels=1)


def test_identity_is_the_file_that_was_opened_even_if_it_is_replaced_later(tmp_path):
    path = save(tmp_path / "a.png", noise(seed=1))
    slide = open_slide(path, max_megapixels=1)
    save(path, noise(seed=2))
    other = open_slide(path, max_megapixels=1)
    assert slide.sha256 != other.sha256
    assert np.array_equal(slide.pixels(), noise(seed=1))


def test_thumbnail_is_the_same_before_and_after_the_pixels_are_decoded(tmp_path):
    path = save(tmp_path / "a.jpg", noise(800, 600))
    fresh, used = open_slide(path, max_megapixels=1), open_slide(path, max_megapixels=1)
    used.pixels()
    assert np.array_equal(fresh.thumbnail(100), used.thumbnail(100))
    assert fresh.thumbnail(100).shape == (100, 75, 3)


def test_png_bytes_hold_the_pixels():
    pixels = noise()
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(pixels)))), pixels)
    assert png_bytes(pixels) == png_bytes(pixels.copy())


def test_png_bytes_of_a_mask_show_it_in_white():
    mask = noise()[..., 0] > 127
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(mask))).convert("L")) == 255, mask)


@pytest.mark.parametrize("background", [(245, 244, 246), (0, 0, 0)])
def test_tissue_mask_finds_the_stained_square_on_glass_or_on_black(background):
    image = np.empty((100, 100, 3), dtype=np.uint8)
    image[:] = background
    image[30:70, 20:60] = (180, 90, 160)
    mask = tissue_mask(image)
    truth = np.zeros((100, 100), dtype=bool)
    truth[30:70, 20:60] = True
    assert (mask != truth).mean() < 0.02


@pytest.mark.parametrize("seed", [0, 1])
def test_a_blank_slide_has_no_tissue(seed):
    image = np.random.default_rng(seed).integers(240, 247, (80, 80, 3), dtype=np.uint8)
    assert not tissue_mask(image).any()


def test_spots_off_the_image_are_named():
    xy = np.array([[0.0, 0.0], [99.5, 49.0], [100.0, 10.0], [5.0, -0.1]])
    ids = np.array(["1x1", "2x2", "3x3", "4x4"])
    require_on_image(xy[:2], (100, 50), ids[:2], "x/A1")
    with pytest.raises(ImageError, match="2 of 4 spots are off the image") as caught:
        require_on_image(xy, (100, 50), ids, "x/A1")
    assert caught.value.context["found"] == ["3x3", "4x4"]
    assert caught.value.context["section"] == "x/A1"
