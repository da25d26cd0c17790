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


def _hist2st(profile: str, name: str, settings: Settings) -> Predictor:
    from gr2st_core.models.comparators.hist2st.predictor import Hist2STPredictor
    from gr2st_core.models.comparators.sources import Features, Patches

    own = getattr(settings, name)
    source = Features(M224) if profile.startswith("features") else Patches(SPOT_SPAN_UM / 2, own.input_px)
    return Hist2STPredictor(profile, source, own)


def _profiles(
    method: str,
    description: str,
    build: Callable[[str, str, Settings], Predictor],
    *,
    has_features_small: bool = False,
) -> Iterator[MethodSpec]:
    """A system on pixels and on frozen features, in both sizes.

    Parameters
    ----------
    has_features_small
        Whether the small size has settings of its own on features, named ``<method>_features_small``.
    """
    forms = {"published": description, "features": f"{description}, on frozen features instead of pixels"}
    for size, words in (("", ""), ("_small", "; small, for two cores")):
        for form, what in forms.items():
            profile, is_pixels = f"{form}{size}", form == "published"
            is_apart = has_features_small and size and not is_pixels
            name = f"{method}_{profile}" if is_apart else f"{method}{size}"
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
    *_profiles("histogene", "HisToGene: a transformer over a section's patches", _histogene, has_features_small=True),
    *_profiles("hist2st", "Hist2ST: convolutions, a transformer, and a graph over near spots", _hist2st),
)
"""In the order of scoreboards."""
