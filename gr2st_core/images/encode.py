"""From a slide and its spots to patch features.

Belongs here: the loop over a section, and what is required of its result. Does not belong here: how patches are cut,
coloured or described (``patches``, ``stain``, ``encoders``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import ModelError, NonFiniteError
from gr2st_core.images.patches import cut_patches
from gr2st_core.images.pixels import SlideImage
from gr2st_core.images.slides import require_on_image
from gr2st_core.images.spec import Encode, EncoderSpec
from gr2st_core.images.stain import Stain, stain_map
from gr2st_core.types import FloatArray

Progress = Callable[[str, int, int], None]
"""Called with a label, the patches done and the patches in all."""


def silent(label: str, done: int, total: int) -> None:
    """Report nothing."""


def encode_section(
    slide: SlideImage,
    pixel_xy: FloatArray,
    um_per_px: float,
    spec: EncoderSpec,
    *,
    stain: Stain,
    batch_size: int,
    device: str | None = None,
    progress: Progress = silent,
) -> NDArray[np.float32]:
    """Encode the patch around every spot.

    A row depends on its own patch alone, and with stain normalisation on the slide: not on other spots nor on the
    batch size, to the byte on a CPU.

    Parameters
    ----------
    pixel_xy
        Spot centres on the slide, x right, y down, shape ``(n_spots, 2)``.
    stain
        Normalisation of the whole section before encoding.
    batch_size
        Patches held at once, at most; the network takes fewer where memory demands it.
    device
        ``cuda``, ``mps``, ``cpu``; None takes the best there is.

    Returns
    -------
    Finite features, shape ``(n_spots, spec.width)``, rows as ``pixel_xy``.

    Raises
    ------
    ImageError
        A spot is off the image, the image is damaged, too coarse, or shows no tissue to normalise.
    ModelError
        The encoder returns another width than it declares.
    NonFiniteError
        A feature is NaN or infinite.
    """
    rows = np.array([f"row {row}" for row in range(len(pixel_xy))])
    require_on_image(pixel_xy, slide.size_px, rows, slide.section)
    recolour = stain_map(stain, slide)
    encode = _built(spec.build, device)
    label = spec.name if slide.section is None else f"{slide.section} {spec.name}"
    features = np.empty((len(pixel_xy), spec.width), dtype=np.float32)
    done = 0
    for patches in cut_patches(
        slide,
        pixel_xy,
        um_per_px=um_per_px,
        span_um=spec.span_um,
        input_px=spec.input_px,
        batch_size=batch_size,
        section=slide.section,
    ):
        block = encode(recolour(patches))
        require_valid(block, spec, slide.section)
        features[done : done + len(block)] = block
        done += len(block)
        progress(label, done, len(features))
    return features


@lru_cache(maxsize=1)
def _built(build: Callable[[str | None], Encode], device: str | None) -> Encode:
    # Sections of a cohort are encoded in turn by one encoder: it is loaded for the first of them.
    return build(device)


def require_valid(block: NDArray[np.float32], spec: EncoderSpec, section: str | None) -> None:
    """Refuse what an encoder returned if it is not what it declares, or not finite.

    Raises
    ------
    ModelError, NonFiniteError
    """
    if block.shape[1] != spec.width:
        raise ModelError(
            "the encoder returns another width than it declares",
            encoder=spec.name,
            section=section,
            found=block.shape[1],
            expected=spec.width,
        )
    if not np.isfinite(block).all():
        bad = int((~np.isfinite(block)).any(axis=1).sum())
        raise NonFiniteError(
            "the encoder returned NaN or infinite features",
            encoder=spec.name,
            section=section,
            found=f"{bad} of {len(block)} patches",
        )
