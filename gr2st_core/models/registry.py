"""Every method by name.

Belongs here: which methods there are, what each reads, how each is built. Does not belong here: any method; importing
this module loads none of them, nor what they stand on.

A name is ``<method>_<profile>``: lower case, digits and ``_``, since tables are named after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from gr2st_core.errors import SettingsError
from gr2st_core.models.comparators.specs import COMPARATORS
from gr2st_core.models.spec import M224, MethodSpec
from gr2st_core.settings import Settings

if TYPE_CHECKING:
    from gr2st_core.predictor import Predictor

COLOR = ("color_texture",)
M224_M448 = ("efficientnet_lite0", "efficientnet_lite0_309um")
ROTATED = ("efficientnet_lite0_rot", "efficientnet_lite0_309um_rot", *COLOR)

BLENDED = ("low_rank_tcg_counts", "knn_m224", "gr2st_ours")
"""Methods that the blend is made of, from the most cautious."""


def _gr2st(block_set: str, profile: str, settings: Settings) -> Predictor:
    from gr2st_core.models.gr2st.predictor import Gr2stPredictor

    return Gr2stPredictor(block_set, settings.gr2st, profile)


def _gr2st_r1(settings: Settings) -> Predictor:
    from gr2st_core.models.gr2st_published.predictor import PublishedPredictor

    return PublishedPredictor(M224, settings.gr2st_r1)


def _gr2st_r2(settings: Settings) -> Predictor:
    from gr2st_core.models.gr2st_published.predictor import PublishedPredictor

    return PublishedPredictor(M224, settings.gr2st_r2)


def _low_rank(block_set: str, settings: Settings, *, counts_only: bool = False) -> Predictor:
    from gr2st_core.models.low_rank.predictor import LowRankPredictor

    return LowRankPredictor(block_set, settings.low_rank, counts_only=counts_only)


def _ridge_m224(settings: Settings) -> Predictor:
    from gr2st_core.models.ridge import RidgePredictor

    return RidgePredictor(M224, settings.ridge, profile="m224")


def _ridge_color(settings: Settings) -> Predictor:
    from gr2st_core.models.ridge import RidgePredictor

    return RidgePredictor(COLOR, settings.ridge, profile="color")


def _knn_m224(settings: Settings) -> Predictor:
    from gr2st_core.models.knn import KnnPredictor

    return KnnPredictor(M224, settings.knn, profile="m224")


def _blend(settings: Settings) -> Predictor:
    from gr2st_core.models.blend.parts import Component
    from gr2st_core.models.blend.predictor import BlendPredictor

    parts = {"gr2st_ours": ("regression", "retrieval")}
    components = [Component(name, METHODS[name].build(settings), parts.get(name, ("values",))) for name in BLENDED]
    return BlendPredictor(components, settings.blend)


def _training_mean(_: Settings) -> Predictor:
    from gr2st_core.models.nulls import TrainingMeanNull

    return TrainingMeanNull()


def _same_place(_: Settings) -> Predictor:
    from gr2st_core.models.nulls import SamePlaceNull

    return SamePlaceNull()


_SPECS = (
    MethodSpec(
        "gr2st",
        "ours",
        "GR2ST, repaired: graphs, contrast, retrieval and head, on the patch and its surroundings",
        partial(_gr2st, "tcg", "ours"),
        ROTATED,
        cell_types=True,
    ),
    MethodSpec(
        "gr2st",
        "ours_m224",
        "the same on the spot's own patch, as r1 and r2 read it",
        partial(_gr2st, "m224", "ours_m224"),
        M224,
        cell_types=True,
    ),
    MethodSpec(
        "gr2st",
        "r1",
        "GR2ST as first released: contrast and retrieval",
        _gr2st_r1,
        M224,
        cell_types=True,
        target_free=True,
    ),
    MethodSpec(
        "gr2st",
        "r2",
        "GR2ST as published: with regression head and ensemble",
        _gr2st_r2,
        M224,
        cell_types=True,
        target_free=True,
    ),
    MethodSpec("low_rank", "m224", "low-rank kernel ridge on the spot's own patch", partial(_low_rank, "m224"), M224),
    MethodSpec("low_rank", "ctx", "the same, with larger patches and neighbours", partial(_low_rank, "ctx"), M224_M448),
    MethodSpec(
        "low_rank",
        "tcg",
        "the same, rotation-averaged, with colour, texture and layout",
        partial(_low_rank, "tcg"),
        ROTATED,
    ),
    MethodSpec(
        "low_rank",
        "tcg_counts",
        "low_rank tcg, gene directions learnt from sections without an image too",
        partial(_low_rank, "tcg", counts_only=True),
        ROTATED,
        counts_only=True,
    ),
    MethodSpec(
        "blend",
        "default",
        "low_rank, knn and GR2ST, mixed by weights chosen inside training",
        _blend,
        (*ROTATED, *M224),
        cell_types=True,
        counts_only=True,
        components=BLENDED,
    ),
    *COMPARATORS,
    MethodSpec("ridge", "m224", "ridge on EfficientNet-Lite0 features", _ridge_m224, M224),
    MethodSpec("ridge", "color", "ridge on colour and texture", _ridge_color, COLOR),
    MethodSpec("knn", "m224", "nearest training spots by EfficientNet-Lite0 features", _knn_m224, M224),
    MethodSpec("null", "training_mean", "mean of the training spots", _training_mean),
    MethodSpec("null", "same_place", "same place in the patient's other sections", _same_place),
)

METHODS: Mapping[str, MethodSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})
"""Methods by name, in the order of scoreboards."""


def method(name: str) -> MethodSpec:
    """Look a method up.

    Raises
    ------
    SettingsError
    """
    if name not in METHODS:
        raise SettingsError("unknown method", found=name, expected=list(METHODS))
    return METHODS[name]
