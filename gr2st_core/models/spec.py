"""What the registry says of a method.

Belongs here: ``MethodSpec`` and the encoders that methods share. Does not belong here: any method; importing this
module loads nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gr2st_core.settings import Settings

if TYPE_CHECKING:
    from gr2st_core.predictor import Needs, Predictor

M224 = ("efficientnet_lite0",)
"""Features of a spot's own patch, which every method with a ``features`` profile reads."""


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """One method under one profile.

    Attributes
    ----------
    features
        Encoders whose patch features it reads, in the order of concatenation.
    cell_types
        Whether training sections should carry cell types.
    counts_only
        Whether it learns from sections without an image too.
    target_free
        Whether training is the same whatever the target.
    pixels
        Whether it reads patches from the image itself.
    settings
        Name of its settings in ``Settings``; empty: its own name, or its method's.
    components
        Names of the methods it is made of.
    build
        Makes the unfitted method; imports it first. A function of this module, or a ``partial`` of one: its source says
        what the method is made from.
    """

    method: str
    profile: str
    description: str
    build: Callable[[Settings], Predictor]
    features: tuple[str, ...] = ()
    cell_types: bool = False
    counts_only: bool = False
    target_free: bool = False
    pixels: bool = False
    settings: str = ""
    components: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``<method>_<profile>``."""
        return f"{self.method}_{self.profile}"

    @property
    def setting(self) -> str:
        """``small`` for a system made smaller than it was published, for two cores; else ``full``."""
        return "small" if self.profile.endswith("_small") else "full"

    @property
    def needs(self) -> Needs:
        """What the method reads of a section."""
        from gr2st_core.predictor import Needs

        return Needs(
            features=self.features, cell_types=self.cell_types, counts_only=self.counts_only, pixels=self.pixels
        )
