"""Slides read by region: the same pixels as images decoded whole, and bounded in what they ask."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from gr2st_core.errors import ImageError
from gr2st_core.images import tiled
from gr2st_core.images.encode import encode_section
from gr2st_core.images.encoders import encoder_spec
from gr2st_core.images.patches import cut_patches
from gr2st_core.images.slides import Slide, open_slide
from gr2st_core.images.tiled import TiledSlide

WIDTH, HEIGHT, TILE = 900, 700, 128
APERIO = "Aperio Image Library v12.0.16\n900x700 [0,0 900x700] (128x128) RAW|AppMag = 20|MPP = 0.5"
OME = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
KINDS = ("plain.tif", "deflate.tif", "slide.svs", "pyramid.ome.tif", "big.ome.tif")


def stained(seed=0):
    """Blotches of H&E colours on glass."""
    rng = np.random.default_rng(seed)
    coarse = np.repeat(rng.uniform(0, 1, (14, 18, 1)), 3, axis=2)
    small = np.where(coarse > 0.5, np.array([190, 90, 150]) + rng.normal(0, 40, (14, 18, 3)), 243)
    image = Image.fromarray(small.clip(0, 255).astype(np.uint8)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    noise = rng.integers(-6, 7, (HEIGHT, WIDTH, 3))
    return (np.asarray(image).astype(int) + noise).clip(0, 255).astype(np.uint8)


PIXELS = stained()


def write(path, pixels=PIXELS, **options):
    """Tiled TIFF of one of the kinds, by its name: two levels, in SubIFDs for OME."""
    name, common = path.name, {"tile": (TILE, TILE), "photometric": "rgb", **options}
    is_ome, half = ".ome." in name, np.asarray(Image.fromarray(pixels).reduce(2))
    if name.startswith("deflate"):
        common["compression"] = "deflate"
    first = {"metadata": OME if is_ome else None, "subifds": int(is_ome)}
    if name.endswith(".svs"):
        first["description"] = APERIO
    with tifffile.TiffWriter(path, ome=is_ome, bigtiff=name.startswith("big")) as file:
        file.write(pixels, **common, **first)
        file.write(half, **common, metadata=None, subfiletype=1)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("slides")


@pytest.fixture(scope="module")
def whole(folder):
    Image.fromarray(PIXELS).save(folder / "whole.png")
    return open_slide(folder / "whole.png", max_megapixels=1, section="x/A1")


@pytest.fixture(scope="module", params=KINDS)
def slide(folder, request):
    return open_slide(write(folder / request.param), max_megapixels=1, section="x/A1")


@pytest.mark.parametrize("place", [(10, 20, 300, 200), (-50, -30, 200, 100), (850, 650, 200, 100), (2000, -900, 5, 4)])
def test_a_region_is_that_of_the_image_decoded_whole_edges_repeated(slide, whole, place):
    assert isinstance(slide, TiledSlide)
    assert slide.size_px == whole.size_px == (WIDTH, HEIGHT)
    assert np.array_equal(slide.region(*place), whole.region(*place))


def test_patches_are_those_of_the_image_decoded_whole(slide, whole):
    xy = np.array([[0.0, 0.0], [450.2, 333.7], [899.0, 10.0], [300.0, 699.0]])
    options = {"um_per_px": 0.5, "span_um": 60.0, "input_px": 56, "batch_size": 3}
    found, expected = (list(cut_patches(image, xy, **options)) for image in (slide, whole))
    assert np.array_equal(np.concatenate(found), np.concatenate(expected))


@pytest.mark.parametrize("max_px", [37, 300, 450, 2048])
def test_a_thumbnail_without_a_pyramid_is_that_of_the_image_decoded_whole(tmp_path, whole, max_px, monkeypatch):
    monkeypatch.setattr("gr2st_core.images.thumbnails._BLOCK_PX", 200)
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, tile=(TILE, TILE), photometric="rgb")
    assert np.array_equal(open_slide(tmp_path / "a.tif", max_megapixels=1).thumbnail(max_px), whole.thumbnail(max_px))


def test_a_thumbnail_is_made_from_the_coarsest_level_that_is_fine_enough(slide, whole, monkeypatch):
    levels, read = [], slide._read
    monkeypatch.setattr(slide, "_read", lambda level, *place: (levels.append(level), read(level, *place))[1])
    difference = slide.thumbnail(100).astype(int) - whole.thumbnail(100)
    assert np.abs(difference).mean() < 1
    assert set(levels) == {1}
    slide.thumbnail(300)
    assert levels[-1] == 0


@pytest.mark.parametrize("stain", ["none", "reinhard"])
def test_features_are_those_of_the_image_decoded_whole(tmp_path, whole, stain):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, tile=(TILE, TILE), photometric="rgb")
    tiles = open_slide(tmp_path / "a.tif", max_megapixels=1)
    xy, spec = np.array([[200.0, 200.0], [500.0, 400.0]]), encoder_spec("color_texture")
    found, expected = (encode_section(image, xy, 1.0, spec, stain=stain, batch_size=2) for image in (tiles, whole))
    assert np.array_equal(found, expected)


def test_the_resolution_is_what_scanner_and_ome_declare(slide):
    assert slide.um_per_px == (None if slide.path.name in {"plain.tif", "deflate.tif"} else 0.5)


def test_identity_is_the_checksum_of_the_file(slide):
    assert slide.sha256 == hashlib.sha256(slide.path.read_bytes()).hexdigest()


def test_an_svs_goes_through_openslide_and_jpeg_tiles_come_back(tmp_path):
    path = write(tmp_path / "slide.svs", compression="jpeg", compressionargs={"level": 95})
    slide = open_slide(path, max_megapixels=1)
    assert type(slide._tiles).__name__ == "OpenSlideTiles"
    assert np.abs(slide.region(0, 0, WIDTH, HEIGHT).astype(int) - PIXELS).mean() < 4


def test_jpeg_tiles_of_no_vendor_come_back(tmp_path):
    path = write(tmp_path / "plain.tif", compression="jpeg", compressionargs={"level": 95})
    slide = open_slide(path, max_megapixels=1)
    assert type(slide._tiles).__name__ == "TiffTiles"
    assert np.abs(slide.region(0, 0, WIDTH, HEIGHT).astype(int) - PIXELS).mean() < 4


def test_a_striped_image_is_decoded_whole_under_the_cap_and_refused_above_it_with_the_way_out(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, photometric="rgb", resolution=(20_000, 20_000), resolutionunit="CENTIMETER")
    slide = open_slide(path, max_megapixels=1)
    assert isinstance(slide, Slide)
    assert slide.um_per_px == 0.5
    tifffile.imwrite(path, np.zeros((1100, 1000, 3), np.uint8), photometric="rgb")
    with pytest.raises(ImageError, match="too large") as caught:
        open_slide(path, max_megapixels=1, section="x/A1")
    assert caught.value.context["file"] == path
    assert "vips tiffsave" in caught.value.context["hint"]


def grey(path):
    tifffile.imwrite(path, PIXELS[..., 0], tile=(TILE, TILE))


def sixteen_bit(path):
    tifffile.imwrite(path, PIXELS.astype(np.uint16), tile=(TILE, TILE), photometric="rgb")


def planes(path):
    tifffile.imwrite(path, PIXELS.transpose(2, 0, 1), tile=(TILE, TILE), photometric="rgb", planarconfig="separate")


def stack(path):
    tifffile.imwrite(path, np.stack([PIXELS, PIXELS]), tile=(TILE, TILE), photometric="rgb", ome=True)


def one_huge_tile(path):
    first = np.zeros((8192, 4096, 3), np.uint8)
    tifffile.imwrite(path, first, tile=(8192, 4096), photometric="rgb", compression="deflate")


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (grey, "1 samples of uint8"), (sixteen_bit, "3 samples of uint16"), (planes, "planar configuration 2"),
        (stack, "2 images"), (one_huge_tile, "4096x8192 px"),
    ],
)  # fmt: skip
def test_tiles_of_another_kind_are_refused_plainly(tmp_path, make, found):
    path = tmp_path / "a.tif"
    make(path)
    with pytest.raises(ImageError) as caught:
        open_slide(path, max_megapixels=250, section="x/A1")
    assert found in caught.value.context["found"]
    assert caught.value.context["section"] == "x/A1"
    assert caught.value.context["file"] == path


@pytest.mark.parametrize("kind", KINDS)
def test_a_slide_that_is_cut_off_is_refused_when_opened(tmp_path, kind):
    path = write(tmp_path / kind)
    path.write_bytes(path.read_bytes()[:-200_000])
    with pytest.raises(ImageError) as caught:
        open_slide(path, max_megapixels=250, section="x/A1")
    assert caught.value.context["file"] == path
    assert caught.value.context["section"] == "x/A1"


def test_damaged_tiles_are_refused_when_they_are_read_and_name_file_and_section(tmp_path):
    path = write(tmp_path / "deflate.tif")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[0]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(100))
    slide = open_slide(path, max_megapixels=1, section="x/A1")
    assert np.array_equal(slide.region(400, 400, 50, 50), PIXELS[400:450, 400:450])
    with pytest.raises(ImageError, match="truncated or damaged") as caught:
        slide.region(0, 0, 50, 50)
    assert caught.value.context["file"] == path
    assert caught.value.context["section"] == "x/A1"


@pytest.mark.parametrize("name", ["plain.tif", "slide.svs"])
def test_a_jpeg_tile_that_is_none_is_refused_when_it_is_read(tmp_path, name):
    path = write(tmp_path / name, compression="jpeg")
    with tifffile.TiffFile(path) as file:
        offset, n_bytes = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(n_bytes))
    slide = open_slide(path, max_megapixels=1, section="x/A1")
    with pytest.raises(ImageError, match="truncated or damaged") as caught:
        slide.region(0, 0, 50, 50)
    assert caught.value.context["file"] == path
    assert caught.value.context["section"] == "x/A1"


def test_a_tile_that_unpacks_to_more_than_its_pixels_is_refused(tmp_path):
    """One tile's bytes are replaced by a JPEG that claims 60,000 pixels a side."""
    path = write(tmp_path / "plain.tif", compression="jpeg")
    with tifffile.TiffFile(path) as file:
        offset, n_bytes = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\xc0", offset, offset + n_bytes)
    data[start + 5 : start + 9] = (60_000).to_bytes(2, "big") * 2
    path.write_bytes(data)
    with pytest.raises(ImageError) as caught:
        open_slide(path, max_megapixels=1, section="x/A1").region(0, 0, 10, 10)
    assert "60000x60000" in caught.value.context["found"]


def test_regions_and_thumbnails_have_caps(slide, monkeypatch):
    monkeypatch.setattr(tiled, "MAX_REGION_PX", 10_000)
    assert slide.region(0, 0, 100, 100).shape == (100, 100, 3)
    with pytest.raises(ImageError, match="region is too large") as caught:
        slide.region(0, 0, 101, 100)
    assert caught.value.context["section"] == "x/A1"
    monkeypatch.setattr(tiled, "MAX_THUMBNAIL_PX", 100_000)
    with pytest.raises(ImageError, match="too large for a thumbnail") as caught:
        slide.thumbnail(100)
    assert "--pyramid" in caught.value.context["hint"]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    path = write(tmp_path / "plain.tif")
    slide = open_slide(path, max_megapixels=1, section="x/A1")
    write(path, stained(seed=1), software="another")
    with pytest.raises(ImageError, match="changed") as caught:
        slide.region(0, 0, 10, 10)
    assert caught.value.context["file"] == path


def test_a_mrxs_slide_without_its_folder_is_refused(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg")
    path = (tmp_path / "a.jpg").rename(tmp_path / "a.mrxs")
    with pytest.raises(ImageError, match="folder of tiles") as caught:
        open_slide(path, max_megapixels=1, section="x/A1")
    assert "Slidedat.ini" in caught.value.context["expected"]


LOOK = """
import resource, sys
from pathlib import Path
import numpy as np
from gr2st_core.images.patches import cut_patches
from gr2st_core.images.slides import open_slide
slide = open_slide(Path(sys.argv[1]), max_megapixels=250)
places = np.linspace((50, 50), np.array(slide.size_px) - 50, 20)
patches = list(cut_patches(slide, places, um_per_px=0.25, span_um=309, input_px=224, batch_size=8))
thumbnail = slide.thumbnail(2048)
if sys.platform == "linux":  # there ru_maxrss begins with what the parent had when it forked
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) >> 10
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20
print(sum(map(len, patches)), int(thumbnail[0, 0].max()), int(thumbnail[-1, -1].min()), peak)
"""


def test_a_slide_of_1200_megapixels_is_looked_at_in_less_than_a_gigabyte(tmp_path):
    """Sparse: only the tile in the corner has bytes, the others are glass."""
    black = np.zeros((1024, 1024, 3), np.uint8)
    path = tmp_path / "large.ome.tif"
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as file:
        for shape, options in (((30_000, 40_000, 3), {"subifds": 1, "metadata": OME}), ((3750, 5000, 3), {})):
            n_tiles = -(-shape[0] // 1024) * -(-shape[1] // 1024)
            tiles = (black if number == 0 else None for number in range(n_tiles))
            file.write(tiles, shape=shape, dtype="uint8", tile=(1024, 1024), photometric="rgb", **options)
    run = [sys.executable, "-c", LOOK, str(path)]
    n, corner, glass, peak_mb = map(int, subprocess.run(run, check=True, capture_output=True, text=True).stdout.split())
    assert (n, corner, glass) == (20, 0, 255)
    assert peak_mb < 1000
