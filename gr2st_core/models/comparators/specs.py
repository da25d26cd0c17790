"""The comparators as the registry knows them.

Belongs here: one builder per system and the list of their profiles. Does not belong here: systems; importing this
module loads none of them.

Every profile comes in the size that its authors published, for a GPU, and as ``_small`` for two cores. These are
methods of their own, with tables of their own, so that no column mixes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from gr2st_core.models.spec import M224, MethodSpec
from gr2st_core.settings import Settings

if TYPE_CHECKING:
    from gr2st_core.predictor import Predictor

SPOT_SPAN_UM = 154.0
"""224 px of the published her2st images."""


def _histogene(profile: str, name: str, settings: Settings) -> Predictor:
    from gr2st_core.models.comparators.histogene.predictor import HisToGenePredictor
    from gr2st_core.models.comparators.sources import Features, Patches

    own = getattr(settings, name)
    source = Features(M224) if profile.startswith("features") else Patches(SPOT_SPAN_UM / 2, own.input_px)
    return HisToGenePredictor(profile, source, own)


def _reg2st(profile: str, name: str, settings: Settings) -> Predictor:
    from gr2st_core.models.comparators.reg2st.predictor import Reg2STPredictor
    from gr2st_core.models.comparators.sources import Features

    return Reg2STPredictor(profile, Features(M224), getattr(settings, name))


def _multires(profile: str, name: str, settings: Settings) -> Predictor:
    from gr2st_core.models.comparators.multires.predictor import MultiresPredictor
    from gr2st_core.models.comparators.sources import Features

    return MultiresPredictor(profile, Features(M224), getattr(settings, name))


def _profiles(
    method: str, description: str, build: Callable[[str, str, Settings], Predictor], *, reads_pixels: bool = True
) -> Iterator[MethodSpec]:
    """A system on pixels, where it has an image network of its own, and on frozen features, in both sizes."""
    forms = {"published": description, "features": f"{description}, on frozen features instead of pixels"}
    if not reads_pixels:
        forms = {"features": description}
    for size, words in (("", ""), ("_small", "; small, for two cores")):
        for form, what in forms.items():
            profile, name = f"{form}{size}", f"{method}{size}"
            is_pixels = form == "published"
            yield MethodSpec(
                method,
                profile,
                f"{what}{words}",
                partial(build, profile, name),
                () if is_pixels else M224,
                pixels=is_pixels,
                settings=name,
            )


COMPARATORS: tuple[MethodSpec, ...] = (
    *_profiles("histogene", "HisToGene: a transformer over a section's patches", _histogene),
    *_profiles(
        "reg2st", "Reg2ST: image rows read from a gene space, joined by a learned graph", _reg2st, reads_pixels=False
    ),
    *_profiles(
        "multires",
        "a spot, its neighbours and its section, fused and distilled; this project's own design",
        _multires,
        reads_pixels=False,
    ),
)
"""In the order of scoreboards."""
