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
    from gr2st_core.models.comparators.sources import Source
    from gr2st_core.predictor import Predictor

SPOT_SPAN_UM = 154.0
"""224 px of the published her2st images."""


def _source(profile: str, input_px: int, span_um: float = SPOT_SPAN_UM / 2) -> Source:
    """Where a profile's rows come from: frozen features, or patches of 112 published pixels."""
    from gr2st_core.models.comparators.sources import Features, Patches

    return Features(M224) if profile.startswith("features") else Patches(span_um, input_px)


def _histogene(profile: str, name: str, settings: Settings) -> Predictor:
    from gr2st_core.models.comparators.histogene.predictor import HisToGenePredictor

    own = getattr(settings, name)
    return HisToGenePredictor(profile, _source(profile, own.input_px), own)


def _hist2st(profile: str, name: str, settings: Settings) -> Predictor:
    from gr2st_core.models.comparators.hist2st.predictor import Hist2STPredictor

    own = getattr(settings, name)
    return Hist2STPredictor(profile, _source(profile, own.input_px), own)


def _thitogene(profile: str, name: str, settings: Settings) -> Predictor:
    from gr2st_core.models.comparators.thitogene.predictor import THItoGenePredictor

    own = getattr(settings, name)
    return THItoGenePredictor(profile, _source(profile, own.input_px), own)


def _hggep(profile: str, name: str, settings: Settings) -> Predictor:
    from gr2st_core.models.comparators.hggep.predictor import HGGEPPredictor

    own = getattr(settings, name)
    return HGGEPPredictor(profile, _source(profile, own.input_px), own)


def _mclstexp(profile: str, name: str, settings: Settings) -> Predictor:
    from gr2st_core.models.comparators.mclstexp.predictor import MclStExpPredictor

    own = getattr(settings, name)
    return MclStExpPredictor(profile, _source(profile, own.input_px, SPOT_SPAN_UM), own)


def _reg2st(profile: str, name: str, settings: Settings) -> Predictor:
    from gr2st_core.models.comparators.reg2st.predictor import Reg2STPredictor
    from gr2st_core.models.comparators.sources import Features

    return Reg2STPredictor(profile, Features(M224), getattr(settings, name))


def _multires(profile: str, name: str, settings: Settings) -> Predictor:
    from gr2st_core.models.comparators.multires.predictor import MultiresPredictor
    from gr2st_core.models.comparators.sources import Features

    return MultiresPredictor(profile, Features(M224), getattr(settings, name))


def _profiles(
    method: str,
    description: str,
    build: Callable[[str, str, Settings], Predictor],
    *,
    reads_pixels: bool = True,
) -> Iterator[MethodSpec]:
    """A system on pixels and on frozen features, in both sizes.

    Parameters
    ----------
    reads_pixels
        Whether it has an image network of its own; else it comes on features alone. One that has learns so much
        faster on features that its small size has settings of its own there, named ``<method>_features_small``.
    """
    forms = {"published": description, "features": f"{description}, on frozen features instead of pixels"}
    if not reads_pixels:
        forms = {"features": description}
    for size, words in (("", ""), ("_small", "; small, for two cores")):
        for form, what in forms.items():
            profile, is_pixels = f"{form}{size}", form == "published"
            is_apart = reads_pixels and size and not is_pixels
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
    *_profiles("histogene", "HisToGene: a transformer over a section's patches", _histogene),
    *_profiles("hist2st", "Hist2ST: convolutions, a transformer, and a graph over near spots", _hist2st),
    *_profiles("thitogene", "THItoGene: capsules of patches, a transformer, graph attention", _thitogene),
    *_profiles("hggep", "HGGEP: an image encoder's taps, transformers, and groups of spots alike", _hggep),
    *_profiles("mclstexp", "mclSTExp: an image encoder taught by contrast, training spots looked up", _mclstexp),
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
SMALL_ON_FEATURES = tuple(spec.name for spec in COMPARATORS if spec.profile == "features_small")
"""Names of those that are cheap enough to be trained many times."""
