"""Features of a slide by several encoders at once: every spot read once, what is done kept.

Belongs here: the loop over blocks of spots, reading ahead, taking up again. Does not belong here: a section by one
encoder, as assets have it (``encode``), which gives the same numbers; patches (``slide_patches``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from gr2st_core.errors import CheckpointError
from gr2st_core.images.encode import Progress, require_valid, silent
from gr2st_core.images.pixels import Pixels, SlideImage
from gr2st_core.images.slide_patches import SpotPatches, View, view_of
from gr2st_core.images.slides import require_on_image
from gr2st_core.images.spec import EncoderSpec
from gr2st_core.images.stain import Stain, stain_map
from gr2st_core.types import FloatArray, StrArray

Features = dict[str, NDArray[np.float32]]

_SPOTS_PER_BLOCK = 512
"""Spots between two files: what an interruption costs at most."""


def encode_slide(
    slide: SlideImage,
    pixel_xy: FloatArray,
    spot_ids: StrArray,
    um_per_px: float,
    specs: Sequence[EncoderSpec],
    *,
    stain: Stain,
    batch_size: int,
    device: str | None = None,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Features:
    """Encode the patches around every spot.

    Parameters
    ----------
    pixel_xy, spot_ids
        Spot centres on the slide, shape ``(n_spots, 2)``, and their names.
    stain, batch_size, device
        As in ``encode.encode_section``.
    folder
        Where blocks of features are kept and looked for; of these very slide, spots and encoders. None keeps nothing.
    progress
        Called with a label, the spots done and the spots in all.

    Returns
    -------
    By encoder, finite, shape ``(n_spots, width)``, rows as ``pixel_xy``.

    Raises
    ------
    ImageError, ModelError, NonFiniteError
        As ``encode.encode_section``.
    CheckpointError
        A kept block is damaged or of something else.
    """
    require_on_image(pixel_xy, slide.size_px, spot_ids, slide.section)
    if not specs:
        return {}
    found = {spec.name: np.empty((len(pixel_xy), spec.width), dtype=np.float32) for spec in specs}
    missing = []
    for first in range(0, len(pixel_xy), _SPOTS_PER_BLOCK):
        rows = slice(first, min(first + _SPOTS_PER_BLOCK, len(pixel_xy)))
        kept = None if folder is None else _kept(folder, rows, specs)
        if kept is None:
            missing.append(rows)
        for name, block in (kept or {}).items():
            found[name][rows] = block
    done = len(pixel_xy) - sum(rows.stop - rows.start for rows in missing)
    progress("spots", done, len(pixel_xy))
    if not missing:
        return found
    recolour, encoders = stain_map(stain, slide), {spec.name: spec.build(device) for spec in specs}
    patches = SpotPatches.of(slide, specs, um_per_px)
    batches = [slice(first, min(first + batch_size, rows.stop))
               for rows in missing for first in range(rows.start, rows.stop, batch_size)]  # fmt: skip
    ends = {rows.stop: rows for rows in missing}
    for batch, cut in zip(batches, _ahead(patches, [pixel_xy[batch] for batch in batches]), strict=True):
        for spec in specs:
            block = encoders[spec.name](recolour(cut[view_of(spec)]))
            require_valid(block, spec, slide.section)
            found[spec.name][batch] = block
        if folder is not None and batch.stop in ends:
            _keep(folder, ends[batch.stop], found)
        done += batch.stop - batch.start
        progress("spots", done, len(pixel_xy))
    return found


def _ahead(patches: SpotPatches, places: Sequence[FloatArray]) -> Iterator[dict[View, Pixels]]:
    """Patches of each batch; the next is read from the slide while the last is encoded."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(patches.cut, places[0])
        for following in places[1:]:
            ready, coming = coming.result(), reader.submit(patches.cut, following)
            yield ready
        yield coming.result()


def _keep(folder: Path, rows: slice, found: Mapping[str, NDArray[np.float32]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file = _file(folder, rows)
    unfinished = file.with_suffix(".unfinished")
    save_file({name: np.ascontiguousarray(block[rows]) for name, block in found.items()}, unfinished)
    unfinished.replace(file)


def _kept(folder: Path, rows: slice, specs: Sequence[EncoderSpec]) -> Features | None:
    """Features of a block that an earlier run finished."""
    file = _file(folder, rows)
    if not file.exists():
        return None
    try:
        kept: Features = load_file(file)
    except SafetensorError as error:
        raise CheckpointError("kept features cannot be read", file=file, hint="delete the folder") from error
    expected = {spec.name: (rows.stop - rows.start, spec.width) for spec in specs}
    if (shapes := {name: block.shape for name, block in kept.items()}) != expected:
        raise CheckpointError("kept features of something else", file=file, expected=expected, found=shapes)
    return kept


def _file(folder: Path, rows: slice) -> Path:
    return folder / f"{rows.start:08d}-{rows.stop:08d}.safetensors"
