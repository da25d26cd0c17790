"""What an encoder is to the rest of the project.

Belongs here: ``EncoderSpec``. Does not belong here: any encoder, or the list of them (``encoders``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import SettingsError
from gr2st_core.images.pixels import Pixels

Encode = Callable[[Pixels], NDArray[np.float32]]
"""From RGB patches, uint8 ``(n, input_px, input_px, 3)``, to features, float32 ``(n, width)``."""

Rgb = tuple[float, float, float]

_NAME = re.compile(r"[a-z0-9_]{1,64}")


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """A frozen image model, described before it is loaded.

    Attributes
    ----------
    name
        Lower case, digits and ``_``; names the features, tables and files.
    input_px, span_um
        Side of a patch in pixels as the model sees it, and in micrometres of tissue.
    mean, std
        Normalisation of RGB on the 0-1 scale.
    width
        Features per patch.
    licence
        Of the weights.
    sha256
        Checksum of the weights; None if there are none, or if they are fetched by name.
    source
        Where the weights come from.
    build
        Load the model onto a device (None: the best there is) and return what encodes.
    """

    name: str
    input_px: int
    span_um: float
    mean: Rgb
    std: Rgb
    width: int
    licence: str
    sha256: str | None
    source: str
    build: Callable[[str | None], Encode] = field(compare=False, repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SettingsError(f"an encoder's name must match {_NAME.pattern}", field="encoder", found=repr(self.name))

    @property
    def um_per_px(self) -> float:
        """Resolution that the model sees."""
        return self.span_um / self.input_px

    @property
    def facts(self) -> dict[str, Any]:
        """Everything but ``build``, as JSON values."""
        names = ("name", "input_px", "span_um", "mean", "std", "width", "licence", "sha256", "source")
        return {name: getattr(self, name) for name in names}

    @property
    def digest(self) -> str:
        """SHA-256 of the facts: the encoder's part of a fingerprint."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()
