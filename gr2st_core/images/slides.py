"""One slide image: opened with care, decoded once, looked at small.

Belongs here: the one door to all slides, images that are decoded whole, tissue mask, and whether spots lie on a slide.
Does not belong here: slides read by region (``tiled``), patches (``patches``), stain (``stain``), or where the file
came from (``cohorts``).

Coordinates are those of the stored pixel grid: x right, y down, the EXIF orientation tag is ignored, because spot
positions are given on that grid.
"""

from __future__ import annotations

import hashlib
import io
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import IFDRational, TiffImageFile
from scipy import ndimage

from gr2st_core.containers.checksums import file_sha256
from gr2st_core.errors import ImageError
from gr2st_core.images.damage import CONVERT
from gr2st_core.images.decoded import DecodedImages
from gr2st_core.images.embedded import embedded_size, is_container, read_embedded
from gr2st_core.images.pixels import Pixels, SlideImage, crop
from gr2st_core.images.scale import declared_um_per_px
from gr2st_core.images.tiled_files import TIFF_STARTS, open_tiled
from gr2st_core.types import BoolArray, FloatArray, StrArray

_READERS: dict[bytes, type[ImageFile.ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    **dict.fromkeys(TIFF_STARTS, TiffImageFile),
}
IMAGE_STARTS = tuple(_READERS)
"""First bytes of every file that may be a slide."""

_LAST_BYTES: dict[type[ImageFile.ImageFile], bytes] = {JpegImageFile: b"\xff\xd9", PngImageFile: b"IEND"}
_TAIL = 65_536
_MODES = {"L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"}
_TRANSPARENT = {"LA", "P", "RGBA"}
_MIN_CHROMA = 10.0


class Slide:
    """An image file whose header was accepted; pixels are decoded when first asked for.

    Parameters
    ----------
    data
        The whole file: what is hashed is what is decoded.
    path, section
        For error messages.
    kept
        Where decoded pixels are looked for, and kept; None keeps them in memory alone.
    """

    def __init__(self, data: bytes, path: Path, section: str | None = None, kept: DecodedImages | None = None) -> None:
        self.path = path
        self.section = section
        self._data = data
        self._kept = kept

    @cached_property
    def sha256(self) -> str:
        """Checksum of the file."""
        return hashlib.sha256(self._data).hexdigest()

    @cached_property
    def size_px(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._open().size

    @cached_property
    def um_per_px(self) -> float | None:
        """Resolution that a TIFF declares; None for other formats, which speak of prints."""
        image = self._open()
        if not isinstance(image, TiffImageFile):
            return None
        tags = image.tag_v2
        resolution = (_number(tags.get(282)), _number(tags.get(283)))
        return declared_um_per_px(str(tags.get(270, "")), resolution, int(tags.get(296, 2)))

    def pixels(self) -> Pixels:
        """Whole image, read-only uint8 ``(height, width, 3)``; decoded once and kept.

        Grey and CMYK become RGB, transparent pixels white (the glass).

        Raises
        ------
        ImageError
            Truncated or damaged.
        """
        return self._pixels

    @cached_property
    def _pixels(self) -> Pixels:
        pixels = self._decode() if self._kept is None else self._kept.pixels(self.sha256, self._decode)
        pixels.setflags(write=False)
        return pixels

    def region(self, left: int, top: int, width: int, height: int) -> Pixels:
        """Rectangle of the image, uint8 ``(height, width, 3)``; beyond the border the nearest edge pixel is repeated.

        Raises
        ------
        ImageError
            Truncated or damaged.
        """
        return crop(self.pixels(), left, top, width, height)

    def thumbnail(self, max_px: int) -> Pixels:
        """Antialiased copy whose longer side is ``max_px`` at most, uint8 ``(height, width, 3)``.

        Always made from the decoded pixels, never from a JPEG decoded at reduced scale, so the image is decoded once.

        Raises
        ------
        ImageError
            Truncated or damaged.
        """
        image = Image.fromarray(self.pixels())
        image.thumbnail((max_px, max_px), Image.Resampling.BICUBIC)
        return np.array(image)

    def _open(self) -> ImageFile.ImageFile:
        return _read_header(io.BytesIO(self._data), self.path, self.section)

    def _decode(self) -> Pixels:
        try:
            return np.array(_on_white(self._open()))
        except (OSError, SyntaxError, ValueError) as error:
            raise ImageError(
                "the image is truncated or damaged",
                file=self.path,
                section=self.section,
                found=str(error),
                hint="fetch the file again",
            ) from error


class EmbeddedSlide(Slide):
    """The image in an AnnData file or a SpatialData store."""

    def __init__(self, path: Path, max_megapixels: int, section: str | None, kept: DecodedImages | None) -> None:
        super().__init__(b"", path, section, kept)
        self._max_megapixels = max_megapixels
        self._size_px = embedded_size(path, max_megapixels=max_megapixels, section=section)

    @cached_property
    def sha256(self) -> str:
        """Checksum of the file, or of all files of the store."""
        return file_sha256(self.path)

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._size_px

    @property
    def um_per_px(self) -> None:
        """None: such files speak of their spots, not of their images."""

    def _decode(self) -> Pixels:
        return read_embedded(self.path, max_megapixels=self._max_megapixels, section=self.section)


def open_slide(
    path: Path, *, max_megapixels: int, section: str | None = None, kept: DecodedImages | None = None
) -> SlideImage:
    """Open a JPEG, PNG or TIFF image, a scanner's slide, or the image in an AnnData file or a SpatialData store.

    Its size is judged from the header, before anything is decoded.

    A missing end is noticed here, other damage when pixels are asked for. Tiled files are read by region.

    Parameters
    ----------
    max_megapixels
        Larger images are refused if they have to be decoded whole.
    section
        For error messages.
    kept
        Where decoded pixels are looked for, and kept for others.

    Raises
    ------
    ImageError
        Not there, of another format or pixel type, larger than the cap, or cut off.
    """
    cap = max_megapixels * 1_000_000
    try:
        if is_container(path):
            return EmbeddedSlide(path, max_megapixels, section, kept)
        with path.open("rb") as file:
            tiled = open_tiled(path, file.read(8), section)
            if tiled is not None:
                return tiled
            image = _read_header(file, path, section)
            _require_size(image, path.stat().st_size, cap, path, section)
            file.seek(0)
            data = file.read()
    except OSError as error:
        raise ImageError("the image cannot be read", file=path, section=section, found=str(error)) from error
    marker = _LAST_BYTES.get(type(image))
    if marker is not None and marker not in data[-_TAIL:]:
        raise ImageError(
            "the image is truncated: its end marker is missing",
            file=path,
            section=section,
            found=f"{len(data)} bytes",
            hint="fetch the file again",
        )
    return Slide(data, path, section, kept)


def _read_header(file: IO[bytes], path: Path, section: str | None) -> ImageFile.ImageFile:
    # The readers are called directly: Image.open would apply Pillow's own, process-wide pixel cap, which is below the
    # size of ordinary slides, and try formats nobody stores slides in.
    file.seek(0)
    magic = file.read(8)
    file.seek(0)
    reader = next((reader for start, reader in _READERS.items() if magic.startswith(start)), None)
    if reader is None:
        raise ImageError(
            "not an image of a known format",
            file=path,
            section=section,
            found=magic,
            expected="JPEG, PNG, TIFF, svs, ndpi or mrxs",
        )
    try:
        image = reader(file)
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError("the image header is damaged", file=path, section=section, found=str(error)) from error
    if image.mode not in _MODES:
        raise ImageError(
            "the pixel type is not supported",
            file=path,
            section=section,
            found=image.mode,
            expected=sorted(_MODES),
            hint="convert the image to 8-bit RGB",
        )
    return image


def _require_size(image: Image.Image, n_bytes: int, cap: int, path: Path, section: str | None) -> None:
    width, height = image.size
    # Four bytes a pixel is what an uncompressed image of the largest size needs: a longer file hides something.
    if width * height > cap or n_bytes > 4 * cap:
        raise ImageError(
            "the image is too large to be decoded whole",
            file=path,
            section=section,
            found=f"{width}x{height} px, {n_bytes} bytes",
            expected=f"at most {cap} px and {4 * cap} bytes",
            hint=f"raise limits.max_megapixels, or {CONVERT}",
        )


def _number(value: object) -> float | None:
    """Value of a TIFF tag, None where it is no number (a denominator of 0 makes it NaN)."""
    return float(value) if isinstance(value, int | float | IFDRational) else None


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in _TRANSPARENT:
        return image if image.mode == "RGB" else image.convert("RGB")
    opaque = image.convert("RGBA")
    glass = Image.new("RGBA", opaque.size, (255, 255, 255, 255))
    return Image.alpha_composite(glass, opaque).convert("RGB")


def tissue_mask(thumbnail: Pixels) -> BoolArray:
    """Where there is stained tissue: Otsu's threshold on smoothed chroma (largest minus smallest colour value).

    Chroma is small on glass, in fat and lumen, and on blackened background alike. A threshold of at least 10 of 255
    keeps a blank slide blank.

    Returns
    -------
    Shape ``(height, width)``.
    """
    chroma = np.ptp(thumbnail.astype(np.float32), axis=-1)
    smooth = ndimage.gaussian_filter(chroma, sigma=1.0)
    mask: BoolArray = smooth > max(_otsu(smooth), _MIN_CHROMA)
    return mask


def _otsu(values: NDArray[np.float32]) -> float:
    counts, edges = np.histogram(values, bins=256, range=(0, 256))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = values.size - below
    sum_below = np.cumsum(counts * centres)
    split = (below > 0) & (above > 0)
    if not split.any():
        return float(centres[counts.argmax()])
    gap = sum_below[split] / below[split] - (sum_below[-1] - sum_below[split]) / above[split]
    return float(edges[1:][split][np.argmax(below[split] * above[split] * gap**2)])


def png_bytes(pixels: Pixels | BoolArray) -> bytes:
    """PNG file of an RGB image or a mask (true is white), the same bytes for the same pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def require_on_image(
    pixel_xy: FloatArray, size_px: tuple[int, int], spot_ids: StrArray, section: str | None = None
) -> None:
    """Refuse spots whose centre is not on the image.

    Parameters
    ----------
    pixel_xy
        Spot centres, shape ``(n_spots, 2)``.
    size_px
        Width and height of the image.
    spot_ids
        Shape ``(n_spots,)``.

    Raises
    ------
    ImageError
        Names the spots.
    """
    inside = np.asarray(((pixel_xy >= 0) & (pixel_xy < np.asarray(size_px))).all(axis=1))
    if not inside.all():
        off = np.asarray(spot_ids)[~inside].tolist()
        raise ImageError(
            f"{len(off)} of {len(inside)} spots are off the image",
            section=section,
            field="pixel_x, pixel_y",
            found=off[:10],
            expected=f"0 <= x < {size_px[0]}, 0 <= y < {size_px[1]}",
            hint="the coordinates may belong to another image or another resolution of it",
        )
