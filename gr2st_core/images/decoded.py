"""Decoded images on disk, so that all that one run makes from an image decodes it once.

Belongs here: keeping whole images, for images that are decoded whole. Does not belong here: decoding (``slides``),
emptying the folder when a run is done (the platform), formats that are read tile by tile, which have no need of it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from filelock import FileLock
from numpy.typing import NDArray

LEFT_FREE_BYTES = 8 << 30
"""What is left free on the disk: an image that would not leave it is decoded and not kept."""


@dataclass(frozen=True, slots=True)
class DecodedImages:
    """A folder of decoded images, for several processes at once.

    ``<name>/pixels.npy`` under ``<name>.lock``; whoever holds the lock may remove the folder beside it. Pixels in use
    stay readable.

    Attributes
    ----------
    folder
        Made when needed.
    code
        What decides the pixels beside the file and Pillow: a digest of the code that decodes.
    """

    folder: Path
    code: str = ""

    def pixels(self, sha256: str, decode: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Pixels of an image, mapped into memory read-only; decoded if they are not there, others waiting for it.

        Parameters
        ----------
        sha256
            Checksum of the image file.
        """
        name = hashlib.sha256(f"{sha256} {PIL.__version__} {self.code}".encode()).hexdigest()[:32]
        file = self.folder / name / "pixels.npy"
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f"{name}.lock"):
            if not file.exists():
                pixels = decode()
                if shutil.disk_usage(self.folder).free - pixels.nbytes < LEFT_FREE_BYTES:
                    return pixels
                _write(pixels, file)
            return np.asarray(np.load(file, mmap_mode="r"))


def _write(pixels: NDArray[np.uint8], file: Path) -> None:
    """Write under another name first: a file that a killed process left unfinished is never taken for whole."""
    file.parent.mkdir(exist_ok=True)
    unfinished = file.with_suffix(".part")
    with unfinished.open("wb") as stream:
        np.save(stream, pixels)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(file)
