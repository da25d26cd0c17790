"""Images inside AnnData files are slides: the same pixels, the same checks, and nothing is read beyond the cap."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gr2st_core.cohorts.files import file_sha256
from gr2st_core.errors import DataError, ImageError
from gr2st_core.images.decoded import DecodedImages
from gr2st_core.images.embedded import read_embedded
from gr2st_core.images.slides import open_slide

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
IMAGES = "uns/spatial/lib/images"


def container(path: Path, image: Any = PIXELS, name: str = "hires", scale: Any = 0.1, **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset(f"{IMAGES}/{name}", data=image, **options)
        file[f"uns/spatial/lib/scalefactors/tissue_{name}_scalef"] = scale
    return path


def fault_of(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        open_slide(path, max_megapixels=1, section="x/A1").pixels()
    assert caught.value.context["section"] == "x/A1"
    assert Path(str(caught.value.context["file"])) == path
    return caught.value


@pytest.mark.parametrize("name", ["hires", "downscaled_fullres", "lowres"])
def test_the_pixels_of_an_embedded_image_are_those_stored(tmp_path: Path, name: str) -> None:
    path = container(tmp_path / "a.h5ad", name=name, compression="gzip")
    slide = open_slide(path, max_megapixels=1)
    assert slide.size_px == (30, 40)
    assert slide.sha256 == file_sha256(path)
    assert np.array_equal(slide.pixels(), PIXELS)
    assert not slide.pixels().flags.writeable
    assert slide.thumbnail(20).shape == (20, 15, 3)


def test_the_finest_image_is_taken_whatever_the_file_is_called(tmp_path: Path) -> None:
    path = container(tmp_path / "slide.png")
    with h5py.File(path, "a") as file:
        file[f"{IMAGES}/lowres"] = np.zeros((4, 3, 3), dtype=np.uint8)
    assert np.array_equal(open_slide(path, max_megapixels=1).pixels(), PIXELS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_from_0_to_1_give_the_bytes_they_came_from(tmp_path: Path, dtype: Any) -> None:
    path = container(tmp_path / "a.h5ad", PIXELS.astype(dtype) / dtype(255))
    assert np.array_equal(read_embedded(path, max_megapixels=1), PIXELS)


@pytest.mark.parametrize("value", [1.5, -0.1, np.nan])
def test_floats_that_are_no_colours_are_refused(tmp_path: Path, value: float) -> None:
    image = np.full((40, 30, 3), 0.5)
    image[7, 7, 1] = value
    assert "beyond 0 and 1" in fault_of(container(tmp_path / "a.h5ad", image)).message


def test_transparent_pixels_are_the_glass(tmp_path: Path) -> None:
    image = np.concatenate([PIXELS, np.full((40, 30, 1), 255, dtype=np.uint8)], axis=-1)
    image[0, 0, 3] = 0
    pixels = read_embedded(container(tmp_path / "a.h5ad", image), max_megapixels=1)
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert np.array_equal(pixels[1:], PIXELS[1:])


def test_images_of_other_types_and_shapes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5ad"
    assert fault_of(container(path, PIXELS.astype(np.uint16))).context["found"] == "uint16"
    assert fault_of(container(path, PIXELS[..., 0])).context["found"] == "shape (40, 30)"
    assert fault_of(container(path, scale=np.nan)).context["field"] == "scalefactors/tissue_hires_scalef"


def test_a_file_without_an_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5ad"
    with h5py.File(path, "w") as file:
        file.create_group("X")
    assert "no image" in fault_of(path).message


def test_an_image_beyond_the_cap_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.h5ad"
    container(path)
    with h5py.File(path, "a") as file:
        del file[f"{IMAGES}/hires"]
        file.create_dataset(f"{IMAGES}/hires", (10**6, 10**6, 3), "u1", chunks=(64, 64, 3), compression="gzip")
    assert path.stat().st_size < 100_000
    fault = fault_of(path)
    assert isinstance(fault, ImageError)
    assert fault.context["expected"] == "at most 1000000 px"
    assert "max_megapixels" in fault.context["hint"]


def test_a_damaged_chunk_is_an_error_not_a_picture(tmp_path: Path) -> None:
    path = container(tmp_path / "a.h5ad", fletcher32=True, chunks=(40, 30, 3))
    with h5py.File(path) as file:
        offset = file[f"{IMAGES}/hires"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(content)
    assert "damaged" in fault_of(path).message


def test_pixels_are_decoded_once_for_all(tmp_path: Path) -> None:
    path, kept = container(tmp_path / "a.h5ad"), DecodedImages(tmp_path / "kept")
    first, second = (open_slide(path, max_megapixels=1, kept=kept) for _ in range(2))
    assert np.array_equal(first.pixels(), PIXELS)
    (file,) = (tmp_path / "kept").glob("*/pixels.npy")
    assert np.array_equal(second.pixels(), np.load(file))
