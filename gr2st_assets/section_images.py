"""Images of registered sections: opened, and read by methods that take pixels.

Belongs here: from a section's key to its image, decoded once for all. Does not belong here: lake tables (``sections``),
how patches are cut (``gr2st_core.images``).
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gr2st_assets import register
from gr2st_assets.fingerprint import code_version, reached
from gr2st_assets.lake import Lake
from gr2st_assets.project import home
from gr2st_assets.sections import image_section, read_rows
from gr2st_core.errors import MissingArtifactError
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    from gr2st_core.images.pixels import SlideImage
    from gr2st_core.models.spec import MethodSpec
    from gr2st_core.settings import Limits
    from gr2st_core.types import ImageSection, PatchReader

DECODED = ".decoded"


def pixel_code() -> tuple[str, ...]:
    """Modules whose source decides the pixels that a method reads."""
    readers = ("gr2st_core.images.patch_reader", "gr2st_core.images.slides")
    return __name__, *reached(readers, within=("gr2st_core.images", "gr2st_core.containers"))


def open_image(path: Path, key: SectionKey, limits: "Limits") -> "SlideImage":
    """Open a section's image; whoever needs its pixels first decodes it for all.

    Raises
    ------
    ImageError
    """
    from gr2st_core.images.decoded import DecodedImages
    from gr2st_core.images.slides import open_slide

    code = code_version("gr2st_core.containers", "gr2st_core.images.embedded", "gr2st_core.images.slides")
    kept = DecodedImages(home() / DECODED, code)
    return open_slide(path, max_megapixels=limits.max_megapixels, section=str(key), kept=kept)


def patch_reader(lake: Lake, key: SectionKey, limits: "Limits") -> "PatchReader | None":
    """Reader of a section's patches, which opens the image when it is asked for some; None without an image.

    Raises
    ------
    MissingArtifactError
        The section had an image and is registered without one now.
    """
    from gr2st_core.images.patch_reader import SlidePatches

    slide = read_rows(lake, "raw/slides", key).to_pylist()[0]
    if slide["image_path"] is None:
        return None
    path = register.load(lake, key.cohort).entry(key).image_path
    if path is None:
        raise MissingArtifactError(
            "the section is registered without the image that it had", section=str(key), hint="materialize it again"
        )
    return SlidePatches(partial(open_image, path, key, limits), slide["image_sha256"])


def query_section(lake: Lake, key: SectionKey, spec: "MethodSpec", limits: "Limits") -> "ImageSection":
    """Build a section as a method's query: with the patch features, and the pixels, that it reads.

    Raises
    ------
    MissingArtifactError, AlignmentError
        As ``sections.image_section``.
    """
    return image_section(lake, key, spec.features, patch_reader(lake, key, limits) if spec.pixels else None)
