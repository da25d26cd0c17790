"""Which assets a run of some methods needs.

Belongs here: from names of methods to names of assets. Does not belong here: which partitions (``currency``), running
(``runs``).
"""

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from gr2st_assets.kinds import BLUEPRINTS
from gr2st_core.errors import SettingsError
from gr2st_core.models.comparators.specs import COMPARATORS, SMALL_ON_FEATURES
from gr2st_core.models.registry import COLOR, METHODS, method
from gr2st_core.models.spec import M224, MethodSpec

DEFAULT_METHODS = tuple(name for name in METHODS if name not in {spec.name for spec in COMPARATORS})
"""Methods of a run that names none: comparators take long, and are asked for."""
MADE_WITH = {
    "graphs/functional_graph": {"gr2st_ours"},
    "evaluation/recall_scores": {"low_rank_m224"},
    "evaluation/recall_scores_comparators": set(SMALL_ON_FEATURES),
}
"""Assets that are made where all these methods are run: they show the inside of a model, read or train the same."""

STUDIES = {"ablation": "evaluation/ablation", "sensitivity": "evaluation/sensitivity"}
"""Fold assets that run only when they are asked for, by the name of the study."""
STUDY_SUMMARY = "evaluation/studies"
SERVED = "serving/slide_predictions"
"""Section asset that is made once the champions are decided."""
EXPLORER = "serving/explorer"
"""Section asset that is made only when it is asked for."""
STUDIED = "gr2st_ours"
STUDIED_FEATURES = tuple(dict.fromkeys((*METHODS[STUDIED].features, *M224, *COLOR)))
"""Encoders that the studied method and its changes read."""


def assets_for(methods: Collection[str]) -> list[str]:
    """Partitioned assets that training, predicting and scoring some methods takes.

    Parameters
    ----------
    methods
        Names, or patterns of names as ``*_features_small``; none stands for ``DEFAULT_METHODS``.

    Raises
    ------
    SettingsError
        No such method.
    """
    chosen = _named(methods or DEFAULT_METHODS)
    left_out = {spec.name for spec in METHODS.values()} - {spec.name for spec in chosen}
    own = {f"{family}_{name}" for family in ("models/model", "predictions/predictions") for name in left_out}
    own |= {asset for asset, names in MADE_WITH.items() if names & left_out}
    if left_out:
        encoders = {f"image/embeddings_{encoder}" for spec in chosen for encoder in spec.features}
        own |= {name for name in BLUEPRINTS if name.startswith("image/embeddings_")} - encoders
    return [name for name in BLUEPRINTS if name not in {*own, *STUDIES.values(), SERVED, EXPLORER}]


def _named(patterns: Collection[str]) -> list[MethodSpec]:
    """Methods that fit any of the patterns, in the order of the registry."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in METHODS):
            method(pattern)
    return [spec for name, spec in METHODS.items() if any(fnmatchcase(name, pattern) for pattern in patterns)]


def assets_for_studies(studies: Collection[str]) -> list[str]:
    """Partitioned assets that some studies take, both for none: what the base's model is made of, and the studies.

    Raises
    ------
    SettingsError
        No such study.
    """
    if unknown := sorted(set(studies) - set(STUDIES)):
        raise SettingsError("no such study", found=unknown, expected=sorted(STUDIES))
    sections = ("raw/slides", "raw/spots", "raw/counts", "expression/hvg_table", "cells/cell_types")
    encoders = (f"image/embeddings_{encoder}" for encoder in STUDIED_FEATURES)
    folds = ("expression/panel", f"models/model_{STUDIED}", *(STUDIES[name] for name in studies or STUDIES))
    wanted = {*sections, *encoders, *folds}
    return [name for name in BLUEPRINTS if name in wanted]


def within(names: Sequence[str], partitions: str) -> list[str]:
    """Those of the assets that have the partitions."""
    return [name for name in names if BLUEPRINTS[name].partitions == partitions]
